#!/usr/bin/env bash
# down.sh DIR: stops the server that up.sh DIR started.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
stop "${1:?usage: down.sh DIR}/oidc.pid"
