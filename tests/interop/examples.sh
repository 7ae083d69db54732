#!/bin/bash
# The integrators' examples, as they stand: a till in Python, in JavaScript and in Java, each sells a basket.
#
# usage: examples.sh PORT
#
# Tills of store s01 with the example bundle on 127.0.0.1:PORT; device D has the password secret-D. Needs paho-mqtt from PyPI,
# node with npm, and a JDK of 17 or later.
set -euo pipefail

examples=$(cd "$(dirname "$0")/../../examples" && pwd)
port=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

sells() { # sells DEVICE COMMAND...: the sale is told with its decision, and the promotion came off
  local device=$1
  shift
  "$@" 127.0.0.1 "$port" s01 "$device" "secret-$device" > "$dir/$device" || { cat "$dir/$device" >&2; return 1; }
  grep -q '^sold: .*decision s01/' "$dir/$device" || { echo "FAILED $*: no sale" >&2; return 1; }
  local paid subtotal
  read -r paid subtotal < <(sed -n 's/^to pay: \([0-9]*\) of \([0-9]*\).*/\1 \2/p' "$dir/$device")
  [ "$paid" -lt "$subtotal" ] || { echo "FAILED $*: nothing came off" >&2; return 1; }
  echo "ok $1: $(tail -n 1 "$dir/$device")"
}

sells till-1 python3 "$examples/python/till.py"
cp "$examples/javascript/"* "$dir"
(cd "$dir" && npm install --silent --no-audit --no-fund --no-package-lock > /dev/null)
sells till-2 node "$dir/till.mjs"
sells till-3 java "$examples/java/Till.java"
