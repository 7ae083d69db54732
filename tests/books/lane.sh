#!/bin/bash
# Every command of README.md and the guides: the `sh` blocks of each page, in order, in an empty directory, until one fails.
#
# usage: lane.sh BINARY [GUIDE...]
#
# Needs python3 with paho-mqtt. A box is played: AISLED_CONFIG and AISLED_DATA_DIR stand for /etc/aisled and /var/lib/aisled, and `systemctl` starts and
# stops the daemon by hand. README.md speaks from a checkout: it has config/ and tests/ beside it, and of what `cargo run` would start
# only that the verb is there is looked at, for the lanes of CI run it. Blocks marked `text` are output or need a real machine; they
# are not run.
set -euo pipefail

binary=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
guides=("$@")
[ "${#guides[@]}" -gt 0 ] || guides=("$here"/README.md "$here"/config/guides/*.md)
work=$(mktemp -d)
clean() {
  for pid in "$work"/*/daemon.pid; do [ -s "$pid" ] && kill "$(cat "$pid")" 2> /dev/null || true; done
  rm -rf "$work"
}
trap clean EXIT

mkdir "$work/bin"
cat > "$work/bin/aisled" <<SHIM
#!/bin/bash
# The program, on a port of this page's own.
[ "\$*" != "config doc" ] || { "$binary" config doc | sed "s,^#listen = \"127.0.0.1:1883\",listen = \"127.0.0.1:\$PORT\","; exit; }
exec "$binary" "\$@"
SHIM
cat > "$work/bin/cargo" <<'SHIM'
#!/bin/bash
# What a checkout would build.
set -euo pipefail
case "$*" in
  "run --release -- "*) exec aisled "${@:4}" --help ;;
  test) ;;
  *) echo "cargo $*: not known to this lane" >&2; exit 1 ;;
esac
SHIM
chmod +x "$work/bin/aisled" "$work/bin/cargo"
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
  PORT=$port "$work/bin/aisled" config doc > "$page/aisled.toml"
  box=("AISLED_CONFIG=$page/aisled.toml" "AISLED_DATA_DIR=$page/data")
  if [ "$name" = README ]; then # a checkout, and no box
    ln -s "$here/config" "$here/tests" "$page/here/"
    box=(-u AISLED_CONFIG -u AISLED_DATA_DIR)
  fi
  awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$guide" | sed "s/127.0.0.1 1883/127.0.0.1 $port/" > "$page/commands"
  # What a page starts beside itself ends with it.
  if ! (cd "$page/here" && env "${box[@]}" EXAMPLES="$here/examples" PAGE="$page" PORT="$port" PATH="$work/bin:$PATH" LANG=C.UTF-8 \
    bash -xeuo pipefail -c 'trap "kill \$(jobs -p) 2> /dev/null || true" EXIT; . "$1"' page "$page/commands" > "$page/said" 2>&1); then
    tail -n 40 "$page/said" >&2
    echo "FAILED: $guide" >&2
    exit 1
  fi
  PAGE=$page PATH=$work/bin:$PATH systemctl stop
  echo "ok $name: $(grep -c . "$page/commands") lines"
done
