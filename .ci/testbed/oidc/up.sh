#!/usr/bin/env bash
# up.sh DIR: an authorization server that somebody else wrote (npm oidc-provider) on 127.0.0.1:${OIDC_PORT:-19310}, with
# an API beside it that takes its tokens alone (see op.mjs). State in memory. Writes DIR/ready.json (addresses),
# DIR/oidc.{env,pid,log} and DIR/events.jsonl (what happened). down.sh DIR stops it. "up.sh --build" only fills the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/../lib.sh"
lock=$(sha256sum "$here/package-lock.json" | cut -c1-12)
home=$cache/oidc-$lock

build() (
  [ -e "$home/node_modules/oidc-provider/package.json" ] && exit 0
  need node nodejs; need npm npm
  part=$home.part; rm -rf "$part"; mkdir -p "$part"
  cp "$here"/package.json "$here"/package-lock.json "$part"
  cd "$part" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  rm -rf "$home"; mv "$part" "$home"
)
[ -e "$home/node_modules/oidc-provider/package.json" ] || rm -f "$cache/.done-oidc-$lock"
once "oidc-$lock" build
[ "${1:-}" = --build ] && exit 0

dir=${1:?usage: up.sh DIR}; mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
export OIDC_PORT=${OIDC_PORT:-19310}
rm -f "$dir/ready.json" "$dir/events.jsonl"
MODULES=$home LOG=$dir/events.jsonl READY_FILE=$dir/ready.json node "$here/op.mjs" >"$dir/oidc.log" 2>&1 </dev/null &
pid=$!; echo $pid >"$dir/oidc.pid"
for ((i = 0; i < 240; i++)); do
  [ -f "$dir/ready.json" ] && break
  kill -0 $pid 2>/dev/null || { tail -30 "$dir/oidc.log" >&2; fail "the authorization server did not start"; }
  sleep 0.25
done
[ -f "$dir/ready.json" ] || { tail -30 "$dir/oidc.log" >&2; fail "the authorization server was not ready in a minute"; }
printf 'JAUGE_TEST_OIDC=%s\n' "$dir/ready.json" >"$dir/oidc.env"
