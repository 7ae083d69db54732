#!/bin/bash
# Every command of the guides: the `sh` blocks of each page, in order, in an empty directory, until one fails.
#
# usage: lane.sh BINARY [GUIDE...]
#
# Needs python3 with paho-mqtt. A box is played: AISLED_CONFIG and AISLED_DATA_DIR stand for /etc/aisled and /var/lib/aisled, and `systemctl` starts and
# stops the daemon by hand. Blocks marked `text` are output or need a real machine; they are not run.
set -euo pipefail

binary=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
guides=("$@")
[ "${#guides[@]}" -gt 0 ] || guides=("$here"/config/guides/*.md)
work=$(mktemp -d)
clean() {
  for pid in "$work"/*/daemon.pid; do [ -s "$pid" ] && kill "$(cat "$pid")" 2> /dev/null || true; done
  jobs=$(pgrep -f "$work/bin/aisled") && kill $jobs 2> /dev/null || true
  rm -rf "$work"
}
trap clean EXIT

mkdir "$work/bin"
ln -s "$binary" "$work/bin/aisled"
cat > "$work/bin/systemctl" <<'SHIM'
#!/bin/bash
# Starts and stops the daemon of this page.
set -euo pipefail
pid=$PAGE/daemon.pid
stop() { [ ! -s "$pid" ] || { kill "$(cat "$pid")"; while kill -0 "$(cat "$pid")" 2> /dev/null; do sleep 0.1; done; rm "$pid"; }; }
start() {
  setsid aisled run >> "$PAGE/journal" 2>&1 &
  echo $! > "$pid"
  for _ in $(seq 100); do
    # What waits in the inbox is taken in the first moments.
    if aisled status > "$PAGE/status" 2> /dev/null; then
      ls "$AISLED_DATA_DIR"/bundles/inbox/*.aisb > /dev/null 2>&1 && grep -q "none yet" "$PAGE/status" || return 0
    fi
    sleep 0.1
  done
  cat "$PAGE/journal" >&2
  return 1
}
case $1 in start) start ;; stop) stop ;; restart | try-restart) stop; start ;; reload) kill -HUP "$(cat "$pid")" ;; esac
SHIM
chmod +x "$work/bin/systemctl"

for guide in "${guides[@]}"; do
  name=$(basename "$guide" .md)
  page=$work/$name
  mkdir "$page" "$page/here" "$page/data"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "$binary" config doc | sed "s,^#listen = \"127.0.0.1:1883\",listen = \"127.0.0.1:$port\"," > "$page/aisled.toml"
  awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$guide" | sed "s/127.0.0.1 1883/127.0.0.1 $port/" > "$page/commands"
  if ! (cd "$page/here" && EXAMPLES=$here/examples PAGE=$page PATH=$work/bin:$PATH AISLED_CONFIG=$page/aisled.toml AISLED_DATA_DIR=$page/data \
    LANG=C.UTF-8 bash -xeuo pipefail "$page/commands" > "$page/said" 2>&1); then
    tail -n 40 "$page/said" >&2
    echo "FAILED: $guide" >&2
    exit 1
  fi
  PAGE=$page PATH=$work/bin:$PATH systemctl stop
  echo "ok $name: $(grep -c . "$page/commands") lines"
done
