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
shop embedded "listen = \"127.0.0.1:$port\"\ndevices_file = \"$dir/devices\"\n"
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
kill -TERM "$daemon"
wait "$daemon"
daemon=

echo "== a real Mosquitto"
shop external ''
cat > "$dir/external.sh" <<'SH'
#!/bin/bash
# The broker is known only now: its section ends the configuration.
dir=$(dirname "$0")
printf '%s' "$AISLED_BROKER_PASSWORD" > "$dir/password"
printf 'mode = "external"\nurl = "mqtt://%s:%s"\nusername = "%s"\npassword_file = "%s"\n' \
  "$AISLED_BROKER_HOST" "$AISLED_BROKER_PORT" "$AISLED_BROKER_USER" "$dir/password" >> "$dir/external.toml"
exec "$1" --config "$dir/external.toml" run
SH
chmod +x "$dir/external.sh"
"$here/mosquitto.sh" "$dir/external.sh" "$aisled"
echo "interop: all answered"
