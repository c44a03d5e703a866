#!/usr/bin/env bash
# up.sh DIR: a real InfluxDB 2.7.12 on 127.0.0.1:${INFLUX_PORT:-18086}, its data in DIR. Writes DIR/influx.env (address,
# token, org, bucket) and DIR/influx.pid. The first call on a machine builds the server (Go modules and crates: four
# minutes on two cores) into the cache; later calls start it in under a second. Called again with the same DIR it
# starts a stopped server on its old data. down.sh DIR stops it. "up.sh --build" only fills the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/../lib.sh"
version=2.7.12
influxd=$cache/influxd-$version

build() (
  [ -x "$influxd" ] && exit 0
  # Debian's own Go and Rust are too old for it.
  for c in go cargo; do command -v $c >/dev/null || fail "the command $c is missing: install a current one, InfluxDB is built with it"; done
  need gcc gcc
  work=$(mktemp -d); trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  cp "$here"/{go.mod,go.sum,tools.go} "$work"; cd "$work"
  # Its query language library (Rust) pins an old toolchain and takes warnings for errors: build it with the machine's
  # stable toolchain, warnings capped, for host and target alike.
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nexec "$@" --cap-lints=warn\n' >rustc-lenient; chmod +x rustc-lenient
  go build -o pkg-config github.com/influxdata/pkg-config
  PKG_CONFIG=$work/pkg-config RUSTC_WRAPPER=$work/rustc-lenient RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-stable} \
    go build -tags sqlite_foreign_keys,sqlite_json -o "$influxd.part" github.com/influxdata/influxdb/v2/cmd/influxd
  mv "$influxd.part" "$influxd"
)
[ -x "$influxd" ] || rm -f "$cache/.done-influxd-$version"
once "influxd-$version" build
[ "${1:-}" = --build ] && exit 0

dir=${1:?usage: up.sh DIR}; mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
port=${INFLUX_PORT:-18086}
need curl curl
"$influxd" --bolt-path "$dir/influxd.bolt" --sqlite-path "$dir/influxd.sqlite" --engine-path "$dir/engine" \
  --http-bind-address "127.0.0.1:$port" --reporting-disabled --log-level warn >>"$dir/influx.log" 2>&1 </dev/null &
pid=$!; echo $pid >"$dir/influx.pid"
wait_http "127.0.0.1:$port/health" $pid "$dir/influx.log"
token=jauge-test-token
# Set up already: 422, which is no mistake.
curl -s -o /dev/null -XPOST "127.0.0.1:$port/api/v2/setup" -d '{"username":"jauge","password":"jauge-test-password","org":"jauge","bucket":"jauge","token":"'$token'","retentionPeriodSeconds":0}'
printf 'JAUGE_INFLUX_URL=http://127.0.0.1:%s\nJAUGE_INFLUX_TOKEN=%s\nJAUGE_INFLUX_ORG=jauge\nJAUGE_INFLUX_BUCKET=jauge\n' "$port" "$token" >"$dir/influx.env"
curl -sf -o /dev/null -H "Authorization: Token $token" "127.0.0.1:$port/api/v2/buckets" || fail "InfluxDB at port $port does not take the test's token: is another server running there?"
