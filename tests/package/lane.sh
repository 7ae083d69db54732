#!/bin/bash
# The package on a bare Debian: installed, a basket priced in three commands, a sale made, upgraded and reinstalled with
# its data, not downgraded, removed, purged.
#
# usage: lane.sh OLD.deb NEW.deb PYTHON
#
# Needs root, debootstrap and a PYTHON with paho-mqtt; packages come from where this machine takes its own. There is no
# systemd in the root: the daemon is started by hand as the unit's user, and stopped where the unit would be.
set -euo pipefail

old=$(realpath "$1") new=$(realpath "$2") python=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
chmod 755 "$root"
umask 022
daemon=
stop() { [ -z "$daemon" ] || { kill "$daemon" 2> /dev/null && wait "$daemon" || true; daemon=; }; }
clean() {
  stop
  for at in dev proc; do mountpoint -q "$root/$at" && umount "$root/$at"; done
  rm -rf "$root"
}
trap clean EXIT
fail() { echo "FAILED: $*" >&2; tail -n 20 "$root/aisled.log" >&2 2> /dev/null || true; exit 1; }
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)
debootstrap --variant=minbase bookworm "$root" "$mirror" > /dev/null
rm -f "$root"/etc/apt/sources.list
cp -r /etc/apt/sources.list* /etc/apt/apt.conf.d "$root/etc/apt/" 2> /dev/null || true
echo 'APT::Sandbox::User "root";' > "$root/etc/apt/apt.conf.d/99-lane"
cp /etc/resolv.conf "$root/etc/" 2> /dev/null || true
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp "$old" "$root/old.deb"
cp "$new" "$root/new.deb"
inside apt-get update -q > /dev/null

start() { # as the unit does: its user, no way to more rights, a configuration and a state directory of its own
  inside setpriv --reuid aisled --regid aisled --clear-groups --no-new-privs --bounding-set=-all \
    /usr/bin/aisled run >> "$root/aisled.log" 2>&1 &
  daemon=$!
  for _ in $(seq 100); do
    inside aisled status --json > "$root/status.json" 2> /dev/null &&
      "$python" -c 'import json, sys; assert json.load(open(sys.argv[1]))["bundle"]' "$root/status.json" 2> /dev/null && return
    kill -0 "$daemon" 2> /dev/null || fail "the daemon does not start"
    sleep 0.1
  done
  fail "the daemon does not answer"
}
decisions() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["journal"]["durable"])' "$root/status.json"; }

echo "--- a bare Debian, three commands"
began=$SECONDS
inside apt-get install -y -q /old.deb > "$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; fail "install"; }
inside aisled bundle sample
start
inside aisled quote '849202*2' | tee "$root/priced"
grep -q 2760 "$root/priced" || fail "the basket has no price"
took=$((SECONDS - began))
[ "$took" -le 60 ] || fail "it took $took s"
echo "ok: priced $took s after the first command"

echo "--- what the package brings"
inside test -s /usr/share/man/man1/aisled-quote.1.gz -a -s /usr/share/bash-completion/completions/aisled || fail "man, completions"
"$python" -c 'import json, sys; bom = json.load(open(sys.argv[1])); assert len(bom["components"]) > 100, bom' \
  "$root/usr/share/doc/aisled/sbom.cdx.json"
[ "$(inside stat -c '%U %a' /var/lib/aisled)" = "aisled 750" ] || fail "the state directory"

echo "--- a sale, an upgrade"
"$python" "$here/../../examples/python/till.py" 127.0.0.1 1883 shop-1 till-1 "" 849202 | tail -n 1
inside aisled status --json > "$root/status.json"
before=$(decisions)
[ "$before" -gt 1 ] || fail "no sale was kept: $before decisions"
echo "# mine" >> "$root/etc/aisled/aisled.toml"
stop
inside apt-get install -y -q /new.deb > "$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; fail "upgrade"; }
start
[ "$(decisions)" -ge "$before" ] || fail "decisions are gone: $(decisions) of $before"
inside aisled replay --day "$(TZ=Asia/Shanghai date +%F)" > "$root/replayed" || { cat "$root/replayed" >&2; fail "replay after the upgrade"; }
[ "$(tail -n 1 "$root/etc/aisled/aisled.toml")" = "# mine" ] || fail "the configuration was overwritten"

echo "--- no downgrade"
stop
if inside dpkg -i /old.deb > "$root/downgrade.log" 2>&1; then fail "the downgrade was not refused"; fi
grep -q "is older than the installed" "$root/downgrade.log" || fail "no reason given"

echo "--- removed, installed again, purged"
inside apt-get remove -y -q aisled > /dev/null 2>&1
[ -d "$root/var/lib/aisled/journal" ] && [ -s "$root/etc/aisled/aisled.toml" ] || fail "a removal took the data"
inside apt-get install -y -q /new.deb > /dev/null 2>&1
start
[ "$(decisions)" -ge "$before" ] || fail "decisions are gone after a reinstall"
stop
inside apt-get purge -y -q aisled > /dev/null 2>&1
[ ! -e "$root/var/lib/aisled" ] && [ ! -e "$root/etc/aisled" ] && [ ! -e "$root/usr/bin/aisled" ] || fail "a purge left something"
echo "the package does what it says"
