#!/bin/sh
# make test-systemd: gets a Debian root once (build/charger/root.tar), makes a bundle of this checkout and installs it.
# Ends with 0 and one line that says why where no machine can run; SYSTEMD=required makes that a failure.
set -eu
python=$1
cd "$(dirname "$0")/../.."
cannot() {
    echo "test-systemd did not run: $*" >&2
    [ "${SYSTEMD:-}" != required ] || exit 1
    exit 0
}
[ "$(id -u)" = 0 ] || cannot "only root can run systemd-nspawn"
for tool in systemd-nspawn nsenter setpriv; do
    command -v $tool >/dev/null || cannot "$tool is not installed (apt-get install systemd-container)"
done
place=build/charger
mkdir -p $place
if [ ! -s $place/root.tar ]; then
    command -v mmdebstrap >/dev/null || cannot "no mmdebstrap to make a Debian root with (apt-get install mmdebstrap)"
    sources=/etc/apt/sources.list.d/debian.sources
    [ -e $sources ] || sources=/etc/apt/sources.list
    echo "making a Debian root (once)"
    mmdebstrap --quiet --mode=root --variant=minbase --include=systemd-sysv,udev,python3 bookworm $place/root.new $sources \
        >$place/root.log 2>&1 || { tail -n 5 $place/root.log >&2; cannot "no Debian root could be made; $place/root.log"; }
    mv $place/root.new $place/root.tar
fi
rm -rf $place/bundle
mkdir $place/bundle
"$python" packaging/make_bundle.py --out $place --machines "$(uname -m)" --pythons 3.11
tar -C $place/bundle --strip-components=1 -xf $place/evse-agent-*-bundle.tar
packaging/make_deb.sh $place/evse-agent-*-bundle.tar $place
SYSTEMD_BUNDLE=$place/bundle "$python" -m pytest tests/systemd/systemd_on_a_machine.py -v -s
