#!/bin/bash
# A shop that runs a real Mosquitto, with the password and ACL files that `aisled devices acl` is to write.
#
# usage: mosquitto.sh COMMAND [ARGUMENT...]
#
# Starts a Mosquitto on a free port, then COMMAND, which must answer requests of store s01 there: it finds the broker in
# AISLED_BROKER_HOST, AISLED_BROKER_PORT, AISLED_BROKER_USER and AISLED_BROKER_PASSWORD. Then tills ask, with mosquitto_rr,
# mosquitto_pub/_sub in both protocol versions, and with paho. Needs Debian's mosquitto and mosquitto-clients, paho-mqtt from PyPI.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
children=()
cleanup() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
root=aisle/1/s01

cat > "$dir/acl" <<ACL
user _engine
topic read $root/dev/+/req/+
topic read $root/dev/+/status
topic write $root/dev/+/rep/+
topic write $root/dev/+/evt/+
topic write $root/svc/engine/status

pattern write $root/dev/%u/req/+
pattern write $root/dev/%u/status
pattern read $root/dev/%u/rep/+
pattern read $root/dev/%u/evt/+
pattern read $root/svc/engine/status
ACL
touch "$dir/passwords"
for user in _engine till-1 till-2; do mosquitto_passwd -b "$dir/passwords" "$user" "secret-$user"; done
chmod 644 "$dir/passwords" "$dir/acl"
chmod 755 "$dir"
cat > "$dir/mosquitto.conf" <<CONF
listener $port 127.0.0.1
allow_anonymous false
password_file $dir/passwords
acl_file $dir/acl
set_tcp_nodelay true
max_packet_size 266240
max_inflight_messages 512
persistence false
CONF
mosquitto -c "$dir/mosquitto.conf" > "$dir/mosquitto.log" 2>&1 &
children+=($!)

until_true() { # until_true COMMAND...: asks again until it holds, at most 20 s
  local tries=400
  until "$@" 2>/dev/null; do
    ((tries--)) || return 1
    sleep 0.05
  done
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port"); }

client() { # client DEVICE VERSION: the options that both mosquitto clients share
  echo -p "$port" -u "$1" -P "secret-$1" -V "$2" -q 1
}

export AISLED_BROKER_HOST=127.0.0.1 AISLED_BROKER_PORT=$port AISLED_BROKER_USER=_engine AISLED_BROKER_PASSWORD=secret-_engine
"$@" > "$dir/command.log" 2>&1 &
children+=($!)

fail() {
  echo "FAILED $1" >&2
  cat "$dir/mosquitto.log" "$dir/command.log" >&2
  exit 1
}

until_true listens || fail "Mosquitto does not listen"
# The first answer may take until the command is up.
request='{"v":1,"id":"interop-mosquitto-rr","data":{"token":{"kind":"card","value":"none"}}}'
asks() {
  # shellcheck disable=SC2046
  mosquitto_rr $(client till-1 5) -t "$root/dev/till-1/req/scan" -e "$root/dev/till-1/rep/rr" -m "$request" -W 1 > "$dir/rr"
}
until_true asks || fail "mosquitto_rr was not answered"
echo "ok mosquitto_rr: $(head -c 200 "$dir/rr")"

# MQTT 3.1.1: subscribe and publish are two programs; with -d the subscriber writes a line when its SUBACK is in.
# shellcheck disable=SC2046
stdbuf -oL mosquitto_sub $(client till-1 311) -d -t "$root/dev/till-1/rep/v3" -C 1 -W 20 > "$dir/sub" &
subscriber=$!
children+=($subscriber)
until_true grep -q Subscribed "$dir/sub" || fail "no SUBACK for MQTT 3.1.1"
# shellcheck disable=SC2046
mosquitto_pub $(client till-1 311) -t "$root/dev/till-1/req/scan" -m "${request/rr/v3}"
wait "$subscriber" || fail "MQTT 3.1.1 was not answered"
echo "ok MQTT 3.1.1: $(grep '^{' "$dir/sub" | head -c 200)"

python3 "$here/paho_client.py" 127.0.0.1 "$port" s01 till-1 till-2 secret- || fail "paho"
