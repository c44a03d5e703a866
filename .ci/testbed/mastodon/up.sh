#!/usr/bin/env bash
# up.sh DIR: a Mastodon API server that somebody else wrote (mastodon_mock) on 127.0.0.1:${MASTODON_PORT:-13001}, its
# state in memory, settings in mock.toml. Writes DIR/mastodon.{env,pid,log}. down.sh DIR stops it. "up.sh --build" only
# fills the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
version=0.6.1
venv=$cache/mastodon_mock-$version

build() (
  [ -x "$venv/bin/mastodon_mock" ] && exit 0
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  rm -rf "$venv"; python3 -m venv "$venv"
  "$venv/bin/pip" -q --disable-pip-version-check install "mastodon_mock==$version" >&2
)
[ -x "$venv/bin/mastodon_mock" ] || rm -f "$cache/.done-mastodon_mock-$version"
once "mastodon_mock-$version" build
[ "${1:-}" = --build ] && exit 0

dir=${1:?usage: up.sh DIR}; mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
port=${MASTODON_PORT:-13001}
need curl curl
"$venv/bin/mastodon_mock" serve --in-memory --config "$here/mock.toml" --port "$port" --log-level warning >"$dir/mastodon.log" 2>&1 </dev/null &
pid=$!; echo $pid >"$dir/mastodon.pid"
wait_http "127.0.0.1:$port/api/v1/instance" $pid "$dir/mastodon.log"
printf 'JAUGE_TEST_MASTODON_URL=http://127.0.0.1:%s\n' "$port" >"$dir/mastodon.env"
