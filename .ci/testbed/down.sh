#!/usr/bin/env bash
# down.sh [DIR]: stops every server that up.sh [DIR] started.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../.testbed}
for s in influxdb mastodon atproto oidc; do "$here/$s/down.sh" "$dir/$s"; done
rm -f "$dir/env"
