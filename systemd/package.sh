#!/bin/bash
# Makes target/debian/aisled_VERSION_ARCH.deb of the release binary; needs cargo-deb and python3. package.sh [VERSION]
set -euo pipefail
cd "$(dirname "$0")/.."
binary=target/release/aisled
stage=target/package
version=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}

rm -rf "$stage"
mkdir -p "$stage/man" "$stage/debian" "$stage/units" "$stage/sysusers" "$stage/tmpfiles"
"$binary" man "$stage/man"
gzip -9n "$stage"/man/*.1
"$binary" completions bash > "$stage/aisled.bash"
"$binary" completions zsh > "$stage/_aisled"
"$binary" completions fish > "$stage/aisled.fish"
cargo metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu |
  python3 systemd/sbom.py > "$stage/sbom.cdx.json"
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
cargo deb --no-build --deb-version "$version" --output "target/debian/aisled_$version.deb"
