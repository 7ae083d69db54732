#!/bin/bash
# Every page of the console in a real browser, over the demonstration of the program given: lane.sh PROGRAM [PICTURES]
# Needs chromium, node and npm. Exit 0: every page is there in both languages, on a phone and a desk, and axe-core finds
# nothing serious.
set -euo pipefail
program=$(realpath "$1")
lane=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
pictures=${2:-$work/pictures}
demo=
trap '[ -z "$demo" ] || kill -INT "$demo" 2> /dev/null || true; rm -rf "$work"' EXIT

cp "$lane"/package.json "$lane"/pages.mjs "$work"
(cd "$work" && npm install --silent --no-audit --no-fund)
"$program" demo --seconds 600 --tills 12 --kiosks 4 --console > "$work/demo.txt" 2> "$work/told.txt" &
demo=$!
for _ in $(seq 150); do
  grep -q '^console ' "$work/told.txt" && break
  sleep 0.2
done
read -r _ address _ user _ code < <(grep '^console ' "$work/told.txt")
base=${address%/setup}
for _ in $(seq 150); do
  curl -fs -o "$work/health.json" "$base/healthz" && break
  sleep 0.2
done
# Some sales, so that no page is empty.
sleep 8
node "$work/pages.mjs" "$base" "$user" "$code" "$pictures"
