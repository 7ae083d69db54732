#!/bin/bash
# The interop lane: real clients against the daemon, on its embedded broker and on a real Mosquitto.
#
# usage: lane.sh AISLED
#
# AISLED is the built program. Needs Debian's mosquitto and mosquitto-clients, paho-mqtt from PyPI, npm and a JDK.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
aisled=$(realpath "$1")
dir=$(mktemp -d)
daemon=
cleanup() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT

(cd "$dir" && "$aisled" bundle keygen key > /dev/null)
"$aisled" bundle init "$dir/example" > /dev/null
"$aisled" bundle sign "$dir/example" --key "$dir/key" --version 1 -o "$dir/example.aisb" > /dev/null

shop() { # shop NAME BROKER_SECTION: a data directory with the example bundle, and its configuration
  mkdir "$dir/$1"
  printf '[store]\nid = "s01"\ndata_dir = "%s"\n[bundle]\ntrusted_keys = ["%s"]\n[broker]\n%b' \
    "$dir/$1" "$(cat "$dir/key.pub")" "$2" > "$dir/$1.toml"
  "$aisled" --config "$dir/$1.toml" bundle install "$dir/example.aisb" --data "$dir/$1" > /dev/null
}

echo "== the embedded broker"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for device in till-1 till-2 till-3; do
  python3 - "$device" >> "$dir/devices" <<'PY'
import hashlib, os, sys
salt = os.urandom(16)
print(sys.argv[1], f"sha256:{salt.hex()}:{hashlib.sha256(salt + b'secret-' + sys.argv[1].encode()).hexdigest()}")
PY
done
encrypted=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
shop embedded "listen = \"127.0.0.1:$port\"\nlisten_tls = \"127.0.0.1:$encrypted\"\ndevices_file = \"$dir/devices\"\n"
"$aisled" --config "$dir/embedded.toml" run > "$dir/embedded.log" 2>&1 &
daemon=$!
"$here/clients.sh" "$port" || { cat "$dir/embedded.log" >&2; exit 1; }
conforms=
for device in till-1 till-2 till-3; do # watched while the examples sell
  "$aisled" --config "$dir/embedded.toml" conform --device "$device" --seconds 300 --transactions 1 \
    > "$dir/conform-$device" 2>&1 &
  conforms+=" $device:$!"
done
"$here/examples.sh" "$port" || { cat "$dir/embedded.log" >&2; exit 1; }
for watched in $conforms; do
  wait "${watched#*:}" || { cat "$dir/conform-${watched%:*}" >&2; exit 1; }
  echo "ok conform: $(tail -n 1 "$dir/conform-${watched%:*}")"
done
"$aisled" --config "$dir/embedded.toml" status

echo "== a device enrols with a code and asks over TLS"
"$aisled" --config "$dir/embedded.toml" devices enroll till-9 --json > "$dir/code.json"
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$dir/code.json" "$1"; }
python3 "$here/../../examples/python/enroll.py" 127.0.0.1 "$encrypted" till-9 "$(field enrolment_code)" "$(field fingerprint)" "$dir/till-9"
mosquitto_rr -h 127.0.0.1 -p "$encrypted" --cafile "$dir/till-9/ca.pem" --tls-version tlsv1.3 -V 5 -q 1 -W 10 \
  -u till-9 -P "$(cat "$dir/till-9/password")" -t aisle/1/s01/dev/till-9/req/scan -e aisle/1/s01/dev/till-9/rep/rr \
  -m '{"v":1,"id":"interop-enrolled","data":{"token":{"kind":"card","value":"none"}}}' | grep -q '"status":200'
"$aisled" --config "$dir/embedded.toml" devices list
"$aisled" --config "$dir/embedded.toml" audit verify
kill -TERM "$daemon"
wait "$daemon"
daemon=

echo "== a real Mosquitto"
shop external ''
cat > "$dir/external.sh" <<'SH'
#!/bin/bash
# The broker is known only now: its section ends the configuration.
dir=$(dirname "$0")
umask 077
printf '%s' "$AISLED_BROKER_PASSWORD" > "$dir/password"
printf 'mode = "external"\nurl = "mqtt://%s:%s"\nusername = "%s"\npassword_file = "%s"\n' \
  "$AISLED_BROKER_HOST" "$AISLED_BROKER_PORT" "$AISLED_BROKER_USER" "$dir/password" >> "$dir/external.toml"
exec "$1" --config "$dir/external.toml" run
SH
chmod +x "$dir/external.sh"
"$here/mosquitto.sh" "$dir/external.sh" "$aisled"
echo "interop: all answered"
