# shellcheck shell=bash
# What the scripts of the test bed share. Source it; it changes nothing by itself.

# The cache holds what is slow to make (built servers, installed packages) outside of the clone, so that a fresh clone
# on the same machine starts in seconds.
cache=${JAUGE_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jauge-testbed}

fail() { echo "testbed: $*" >&2; exit 1; }

# need COMMAND PACKAGE: the command is there, or the Debian package that brings it is installed now.
need() {
  command -v "$1" >/dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "the command $1 is missing: install the package $2 (or run as root on Debian, then it is installed for you)"
  apt_install "$2"
  command -v "$1" >/dev/null || fail "the package $2 was installed and brings no $1"
}

# apt_install PACKAGE...: one caller at a time; no service is started, the tests want the programs alone.
apt_install() {
  echo "testbed: installing $*" >&2
  mkdir -p "$cache"
  local policy=/usr/sbin/policy-rc.d rc=0
  exec 8>"$cache/.lock-apt"; flock 8
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; local ours=yes; fi
  { [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mmin -720 2>/dev/null | head -1)" ] || apt-get update -qq; } >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 </dev/null || rc=$?
  [ -z "${ours:-}" ] || rm -f $policy
  exec 8>&-
  [ $rc = 0 ] || fail "apt-get install $* failed"
}

# once NAME FUNCTION: runs the function unless it was run with success for this name on this machine; two callers at
# once do it one after the other. Call it as a plain command, so that set -e holds within the function.
once() {
  [ -e "$cache/.done-$1" ] && return
  mkdir -p "$cache"
  exec 9>"$cache/.lock-$1"; flock 9
  local rc
  set +e; (set -e; exec 9>&-; "$2"); rc=$?; set -e
  [ $rc = 0 ] || fail "could not prepare $1"
  touch "$cache/.done-$1"
  exec 9>&-
}

# wait_http URL PID LOG [SECONDS]: waits until the address answers, as long as the process lives.
wait_http() {
  local i
  for ((i = 0; i < ${4:-60} * 10; i++)); do
    curl -sf -m 5 -o /dev/null "$1" && return
    kill -0 "$2" 2>/dev/null || { tail -30 "$3" >&2; fail "the server died before it answered at $1"; }
    sleep 0.1
  done
  tail -30 "$3" >&2
  fail "no answer from $1 in ${4:-60} s"
}

# stop PIDFILE [SIGNAL [SECONDS]]: ends the process and waits until it is gone; SIGKILL when it takes too long.
stop() {
  local pid i
  pid=$(head -1 "$1" 2>/dev/null) || return 0
  [ -n "$pid" ] || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null || { rm -f "$1"; return 0; }
  for ((i = 0; i < ${3:-10} * 10; i++)); do
    kill -0 "$pid" 2>/dev/null || { rm -f "$1"; return 0; }
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$1"
}
