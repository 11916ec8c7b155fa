#!/bin/sh
# Makes a Debian package of a bundle: make_deb.sh BUNDLE.tar OUT-FOLDER. One package for all machines that the bundle serves.
set -eu
bundle=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
share=$tree/usr/share/evse-agent
mkdir -p "$share" "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/share/doc/evse-agent"
tar -C "$share" --strip-components=1 -xf "$bundle"
version=$(basename "$share"/wheels/any/evse_agent-*.whl | cut -d- -f2)

# The units lie where packages keep theirs; install.sh says which file goes where.
lib=$tree/usr/lib
sed -n '/^places()/,/^TEXT/p' "$share/install.sh" | sed -n 's/^\([^ ]*\) *\$lib\//\1 /p' | while read -r source target; do
    install -D -m 644 "$share/systemd/$source" "$lib/$target"
done
for command in evse-agent evse-control evse-console evse-slots; do
    ln -s "/opt/evse-agent/current/bin/$command" "$tree/usr/bin/$command"
done
mv "$share/docs/install.md" "$tree/usr/share/doc/evse-agent/"
cp "$share/LICENSE" "$tree/usr/share/doc/evse-agent/copyright"
rmdir "$share/docs"

cat >"$tree/DEBIAN/control" <<TEXT
Package: evse-agent
Version: $version
Architecture: all
Section: misc
Priority: optional
Maintainer: evse-agent maintainers <maintainers@localhost>
Depends: python3 (>= 3.11), systemd (>= 252)
Recommends: python3-yaml, python3-cffi-backend
Installed-Size: $(du -sk "$tree" | cut -f1)
Description: on-device agent for charge points of electric vehicles
 Drives pilot, contactor, meter and card reader, decides by itself when it is safe
 to energise, keeps every kilowatt-hour on the books, and speaks OCPP.
 .
 Holds the wheels of all that it needs; installing needs no network. On 32-bit ARM
 it uses python3-yaml and python3-cffi-backend of the system.
TEXT
for script in preinst postinst prerm postrm; do
    sed "s/@VERSION@/$version/g" "$here/debian/$script" >"$tree/DEBIAN/$script"
    chmod 755 "$tree/DEBIAN/$script"
done
find "$tree" -type d -exec chmod 755 {} +
find "$share" -type f ! -name '*.sh' ! -name '*.py' -exec chmod 644 {} +
mkdir -p "$out"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/evse-agent_${version}_all.deb"
