#!/usr/bin/env bash
# up.sh DIR: a whole Bluesky network on loopback: PostgreSQL, PLC directory, PDS, AppView; empty. Writes DIR/ready.json
# (addresses), DIR/atproto.env, DIR/{pg,net}.pid and logs. down.sh DIR stops it; its state ends with it. "up.sh --build"
# only fills the cache (npm packages, one of them compiled: three to six minutes on two cores).
# Ports: PLC_PORT, PDS_PORT, BSKY_PORT (2582 to 2584), PGPORT (55432); three more are chosen by the system.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
lock=$(sha256sum "$here/package-lock.json" | cut -c1-12)
home=$cache/atproto-$lock
pgbin=/usr/lib/postgresql/15/bin

build() (
  [ -e "$home/node_modules/@atproto/dev-env/package.json" ] && exit 0
  need node nodejs; need npm npm
  part=$home.part; rm -rf "$part"; mkdir -p "$part"
  cp "$here"/package.json "$here"/package-lock.json "$part"
  cd "$part" && npm ci --no-audit --no-fund --loglevel=error >&2
  rm -rf "$home"; mv "$part" "$home"
)
[ -e "$home/node_modules/@atproto/dev-env/package.json" ] || rm -f "$cache/.done-atproto-$lock"
once "atproto-$lock" build
[ -x $pgbin/initdb ] || { [ "$(id -u)" = 0 ] || fail "PostgreSQL 15 is missing: install the package postgresql-15"; apt_install postgresql-15; }
[ "${1:-}" = --build ] && exit 0

dir=${1:?usage: up.sh DIR}; mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
export PLC_PORT=${PLC_PORT:-2582} PDS_PORT=${PDS_PORT:-2583} BSKY_PORT=${BSKY_PORT:-2584} PGPORT=${PGPORT:-55432}
as() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
# PostgreSQL refuses to run as root, and its own user must be able to reach its files.
pg=$(mktemp -d /tmp/jauge-pg.XXXXXX); echo "$pg" >"$dir/pg.dir"
if [ "$(id -u)" = 0 ]; then chown postgres "$pg"; fi
as $pgbin/initdb -D "$pg/data" -U pg --auth=trust -E UTF8 --no-sync >/dev/null
as $pgbin/pg_ctl -D "$pg/data" -l "$pg/log" -w -o "-p $PGPORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=$pg -c fsync=off -c full_page_writes=off -c synchronous_commit=off" start >/dev/null </dev/null ||
  { tail -20 "$pg/log" >&2; fail "PostgreSQL did not start on port $PGPORT"; }
head -1 "$pg/data/postmaster.pid" >"$dir/pg.pid"
rm -f "$dir/ready.json"
LOG_ENABLED=false READY_FILE=$dir/ready.json MODULES=$home DB_POSTGRES_URL="postgresql://pg@127.0.0.1:$PGPORT/postgres" DB_POSTGRES_SCHEMA=bsky \
  node --dns-result-order=ipv4first "$here/start.mjs" >"$dir/net.log" 2>&1 </dev/null &
echo $! >"$dir/net.pid"
for ((i = 0; i < 480; i++)); do
  [ -f "$dir/ready.json" ] && break
  kill -0 "$(cat "$dir/net.pid")" 2>/dev/null || { tail -30 "$dir/net.log" >&2; fail "the Bluesky network did not start"; }
  sleep 0.25
done
[ -f "$dir/ready.json" ] || { tail -30 "$dir/net.log" >&2; fail "the Bluesky network was not ready in two minutes"; }
printf 'JAUGE_TEST_ATPROTO=%s\n' "$dir/ready.json" >"$dir/atproto.env"
