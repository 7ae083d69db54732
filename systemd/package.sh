#!/bin/bash
# Makes target/deb/aisled_VERSION_ARCH.deb of the release binary; needs cargo-deb, python3 and readelf.
#
# usage: package.sh [VERSION [TARGET]]
#
# TARGET is what the binary was built for with `cargo zigbuild --target` (without the glibc after it); without it, what
# `cargo build --release` made, if this machine's glibc is old enough. AISLED is an aisled that runs on this machine and writes
# the manual pages, where TARGET's does not.
set -euo pipefail
cd "$(dirname "$0")/.."
stage=target/package
version=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
target=${2:-}
binary=target/${target:+$target/}release/aisled
aisled=${AISLED:-$binary}

promised=GLIBC_$(sed -n 's/^depends = .*libc6 (>= \([0-9.]*\)).*/\1/p' Cargo.toml)
# A static binary names none, and grep then says 1.
needed=$(readelf -W --version-info "$binary" | { grep -o 'GLIBC_[0-9A-Z_.]*' || true; } | sort -uV | tail -n 1)
if ! printf '%s\n' "$needed" "$promised" | sort -VC; then
  echo "package.sh: $binary needs $needed and the package promises $promised: build it with cargo zigbuild" >&2
  exit 1
fi

rm -rf "$stage"
mkdir -p "$stage/man" "$stage/debian" "$stage/units" "$stage/sysusers" "$stage/tmpfiles"
"$aisled" man "$stage/man"
gzip -9n "$stage"/man/*.1
"$aisled" completions bash > "$stage/aisled.bash"
"$aisled" completions zsh > "$stage/_aisled"
"$aisled" completions fish > "$stage/aisled.fish"
for_target=${target:-x86_64-unknown-linux-gnu}
cargo tree --locked --target "$for_target" -e normal,build --prefix none -f '{p}' > "$stage/tree.txt"
cargo metadata --format-version 1 --locked --filter-platform "$for_target" |
  python3 systemd/sbom.py "$stage/tree.txt" > "$stage/sbom.cdx.json"
printf 'aisled (%s) stable; urgency=medium\n\n  * See the closing notes of the project.\n\n -- The aisled authors <aisled@localhost>  %s\n' \
  "$version" "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 0)}")" |
  gzip -9n > "$stage/changelog.Debian.gz"
# cargo-deb names these files in the maintainer scripts as they are named here.
cp systemd/aisled.service "$stage/units"
cp systemd/aisled.sysusers.conf "$stage/sysusers/aisled.conf"
cp systemd/aisled.tmpfiles.conf "$stage/tmpfiles/aisled.conf"
for script in systemd/debian/*; do
  sed "s/@VERSION@/$version/g" "$script" > "$stage/debian/$(basename "$script")"
done
# In target/debian cargo-deb would remove the other versions; strip knows only what runs here.
cargo deb --no-build ${AISLED:+--no-strip} ${target:+--target "$target"} --deb-version "$version" --output target/deb/
