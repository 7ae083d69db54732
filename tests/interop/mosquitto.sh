#!/bin/bash
# A shop that runs a real Mosquitto with files written by hand; those of `aisled devices acl` are held by tests/broker/matrix.rs.
#
# usage: mosquitto.sh COMMAND [ARGUMENT...]
#
# Starts a Mosquitto on a free port, then COMMAND, which must answer requests of store s01 there: it finds the broker in
# AISLED_BROKER_HOST, AISLED_BROKER_PORT, AISLED_BROKER_USER and AISLED_BROKER_PASSWORD. Then clients.sh asks.
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
for user in _engine till-1 till-2 till-3; do mosquitto_passwd -b "$dir/passwords" "$user" "secret-$user"; done
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

export AISLED_BROKER_HOST=127.0.0.1 AISLED_BROKER_PORT=$port AISLED_BROKER_USER=_engine AISLED_BROKER_PASSWORD=secret-_engine
"$@" > "$dir/command.log" 2>&1 &
children+=($!)

fail() {
  echo "FAILED $1" >&2
  cat "$dir/mosquitto.log" "$dir/command.log" >&2
  exit 1
}

until_true listens || fail "Mosquitto does not listen"
"$here/clients.sh" "$port" || fail "the clients"
