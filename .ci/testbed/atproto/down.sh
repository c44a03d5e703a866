#!/usr/bin/env bash
# down.sh DIR: stops the network that up.sh DIR started, and its database, which is thrown away.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
dir=${1:?usage: down.sh DIR}
stop "$dir/net.pid" TERM 10
stop "$dir/pg.pid" INT 10 # INT: a fast shutdown
pg=$(cat "$dir/pg.dir" 2>/dev/null) || exit 0
case $pg in /tmp/jauge-pg.*) rm -rf "$pg" "$dir/pg.dir" ;; esac
