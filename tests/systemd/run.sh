#!/bin/sh
# make test-systemd [SUITE=trixie]: gets a Debian root once (build/charger/root*.tar), makes a bundle of this checkout and
# installs it. Ends with 0 and one line that says why where no machine can run; SYSTEMD=required makes that a failure.
set -eu
python=$1
suite=${SUITE:-bookworm}
cd "$(dirname "$0")/../.."
cannot() {
    echo "test-systemd did not run: $*" >&2
    [ "${SYSTEMD:-}" != required ] || exit 1
    exit 0
}
case $suite in
    bookworm) version=3.11 root=root.tar ;;
    trixie) version=3.13 root=root-trixie.tar ;;
    *) echo "test-systemd: SUITE is bookworm or trixie, not $suite" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || cannot "only root can run systemd-nspawn"
for tool in systemd-nspawn nsenter setpriv flock; do
    command -v $tool >/dev/null || cannot "$tool is not installed (apt-get install systemd-container)"
done
place=$PWD/build/charger
mkdir -p "$place"
exec 9>"$place/lock"
flock -n 9 || { echo "waiting for another run" >&2; flock 9; }

# Whatever ends this, nothing of a machine stays: its processes end with its first one, its disk goes.
rm -rf "$place"/run-* # of a run that was killed while it cleaned up; the lock is ours
work=$(mktemp -d "$place/run-XXXXXX")
clean_up() {
    for command in /proc/[0-9]*/cmdline; do
        grep -aqF "$work/" "$command" 2>/dev/null || continue
        pid=${command#/proc/} pid=${pid%/cmdline}
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = systemd-nspawn ] || continue
        leader=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || continue
        [ -z "$leader" ] || kill -KILL $leader 2>/dev/null || true
        timeout 10 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ ! -s "$place/$root" ]; then
    command -v mmdebstrap >/dev/null || cannot "no mmdebstrap to make a Debian root with (apt-get install mmdebstrap)"
    sources="deb http://deb.debian.org/debian $suite main"
    if [ "$suite" = bookworm ]; then # the host's own mirrors, where it is of the same suite
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
            ! grep -qs "$suite" "$file" || sources=$file
        done
    fi
    echo "making a Debian root (once)"
    timeout 400 mmdebstrap --quiet --mode=root --variant=minbase --include=systemd-sysv,udev,python3 \
        "$suite" "$work/root.tar" "$sources" >"$place/root.log" 2>&1 ||
        { tail -n 5 "$place/root.log" >&2; cannot "no Debian root could be made; $place/root.log"; }
    mv "$work/root.tar" "$place/$root"
fi

why=$("$python" tests/systemd/systemd_machine.py "$place/$root" "$work" 2>&1) || cannot "no machine boots here: $why"

timeout 300 "$python" packaging/make_bundle.py --out "$work" --machines "$(uname -m)" --pythons "$version"
mkdir "$work/bundle"
tar -C "$work/bundle" --strip-components=1 -xf "$work"/evse-agent-*-bundle.tar
SYSTEMD_ROOT_TAR=$place/$root SYSTEMD_BUNDLE=$work/bundle SYSTEMD_WORK=$work \
    "$python" -m pytest ${TESTS:-tests/systemd/*_on_a_machine.py} -v -s --durations=12 --durations-min=2
