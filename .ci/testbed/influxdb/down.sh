#!/usr/bin/env bash
# down.sh DIR: stops the InfluxDB that up.sh DIR started and waits until it is gone; SIGNAL=KILL ends it without warning.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
stop "${1:?usage: down.sh DIR}/influx.pid" "${SIGNAL:-TERM}" 20
