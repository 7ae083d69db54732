#!/bin/bash
# Real clients against whatever broker the daemon is heard through.
#
# usage: clients.sh PORT
#
# Tills of store s01 ask on 127.0.0.1:PORT with mosquitto_rr, with mosquitto_pub and _sub in both protocol versions, and
# with paho; device D has the password secret-D. Needs Debian's mosquitto-clients, and paho-mqtt from PyPI.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
port=$1
root=aisle/1/s01
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

until_true() { # until_true COMMAND...: asks again until it holds, at most 20 s
  local tries=400
  until "$@" 2>/dev/null; do
    ((tries--)) || return 1
    sleep 0.05
  done
}
client() { # client DEVICE VERSION: the options that the mosquitto clients share
  echo -p "$port" -u "$1" -P "secret-$1" -V "$2" -q 1
}
fail() {
  echo "FAILED $1" >&2
  exit 1
}

# The first answer may take until the daemon is up.
request='{"v":1,"id":"interop-mosquitto-rr","data":{"token":{"kind":"card","value":"none"}}}'
asks() {
  # shellcheck disable=SC2046
  mosquitto_rr $(client till-1 5) -t "$root/dev/till-1/req/scan" -e "$root/dev/till-1/rep/rr" -m "$request" -W 1 > "$dir/rr"
  grep -q '"status":200' "$dir/rr"
}
until_true asks || fail "mosquitto_rr was not answered"
echo "ok mosquitto_rr: $(head -c 120 "$dir/rr")"

# MQTT 3.1.1: subscribe and publish are two programs; with -d the subscriber writes a line when its SUBACK is in.
# shellcheck disable=SC2046
stdbuf -oL mosquitto_sub $(client till-1 311) -d -t "$root/dev/till-1/rep/v3" -C 1 -W 20 > "$dir/sub" &
subscriber=$!
until_true grep -q Subscribed "$dir/sub" || fail "no SUBACK for MQTT 3.1.1"
# shellcheck disable=SC2046
mosquitto_pub $(client till-1 311) -t "$root/dev/till-1/req/scan" -m "${request/rr/v3}"
wait "$subscriber" || fail "MQTT 3.1.1 was not answered"
grep -q '"status":200' "$dir/sub" || fail "MQTT 3.1.1 was answered with a problem"
echo "ok MQTT 3.1.1: $(grep '^{' "$dir/sub" | head -c 120)"

python3 "$here/paho_client.py" 127.0.0.1 "$port" s01 till-1 till-2 secret- || fail "paho"
python3 "$here/paho_sale.py" 127.0.0.1 "$port" s01 till-3 secret- || fail "a sale with paho"
