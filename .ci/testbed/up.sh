#!/usr/bin/env bash
# up.sh [DIR]: brings up every server that the integration tests need, on ports that are free, and writes their
# addresses into DIR/env (default DIR: .testbed in the clone). down.sh [DIR] stops them all.
#
#     .ci/testbed/up.sh && . .testbed/env && go test -tags integration -p 1 ./...
#
# A server that runs already is left as it is. "up.sh --build" fills the caches and installs packages, starts nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
servers=(influxdb mastodon atproto oidc)

need curl curl; need python3 python3; need prometheus prometheus; need promtool prometheus
need chromium chromium
if [ "${1:-}" = --build ]; then
  # The npm install and the build of InfluxDB are the long ones: side by side.
  pids=()
  for s in "${servers[@]}"; do "$here/$s/up.sh" --build & pids+=($!); done
  for p in "${pids[@]}"; do wait "$p" || fail "a server could not be prepared, see above"; done
  exit 0
fi

dir=${1:-$here/../../.testbed}; mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
# Free ports below the range that the system gives to outgoing connections, so that a server that is stopped and
# started again finds its own still free.
free() { python3 -c 'import random, socket
got = []
while len(got) < 7:
    s = socket.socket()
    try: s.bind(("127.0.0.1", random.randrange(15000, 32000)))
    except OSError: continue
    got.append(s)
print(*[s.getsockname()[1] for s in got])'; }
alive() { local p; p=$(cat "$1" 2>/dev/null) && kill -0 "$p" 2>/dev/null; }
read -r p1 p2 p3 p4 p5 p6 p7 < <(free)
alive "$dir/influxdb/influx.pid" || INFLUX_PORT=${INFLUX_PORT:-$p1} "$here/influxdb/up.sh" "$dir/influxdb"
alive "$dir/mastodon/mastodon.pid" || MASTODON_PORT=${MASTODON_PORT:-$p2} "$here/mastodon/up.sh" "$dir/mastodon"
alive "$dir/atproto/net.pid" ||
  PLC_PORT=${PLC_PORT:-$p3} PDS_PORT=${PDS_PORT:-$p4} BSKY_PORT=${BSKY_PORT:-$p5} PGPORT=${PGPORT:-$p6} "$here/atproto/up.sh" "$dir/atproto"
alive "$dir/oidc/oidc.pid" || OIDC_PORT=${OIDC_PORT:-$p7} "$here/oidc/up.sh" "$dir/oidc"
sed 's/^/export /' "$dir/influxdb/influx.env" "$dir/mastodon/mastodon.env" "$dir/atproto/atproto.env" "$dir/oidc/oidc.env" >"$dir/env"
cat "$dir/env"
