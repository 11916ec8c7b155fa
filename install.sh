#!/bin/sh
# Installs the agent on a charger: ./install.sh, as root. Again: an upgrade, which keeps configuration and records.
set -eu

usage() {
    cat <<'TEXT'
usage: sudo ./install.sh [--config FILE] [--wheels DIR] [--no-start] [--allow-downgrade]
       sudo ./install.sh --remove [--purge]

  --config FILE       becomes /etc/evse-agent/config.yaml unless there is one already
  --wheels DIR        where the wheels are (default: wheels/ beside this script, else they are downloaded)
  --no-start          put everything in place, but start nothing
  --allow-downgrade   let an older version follow a newer one
  --remove            take the program away; configuration and records stay
  --purge             with --remove: take those away, too. Energy that nobody was billed for is lost with them
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
root=/opt/evse-agent
etc=/etc/evse-agent
roots=/etc/evse-manufacturer
lib=/usr/local/lib
bin=/usr/local/bin
config='' wheels='' start=yes downgrade='' action=install purge='' packaged=''

say() { printf '%s\n' "$*"; }
refuse() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --config) [ $# -ge 2 ] || { usage >&2; exit 2; }; config=$2; shift ;;
        --wheels) [ $# -ge 2 ] || { usage >&2; exit 2; }; wheels=$2; shift ;;
        --no-start) start='' ;;
        --allow-downgrade) downgrade=--allow-downgrade ;;
        --remove) action=remove ;;
        --purge) purge=yes ;;
        --packaged) packaged=yes ;; # by the Debian package: it brings units and commands itself
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || refuse "only root can install; run it with sudo"

# ---- where what goes: source below systemd/, then its place ----
places() {
    cat <<TEXT
evse.slice              $lib/systemd/system/evse.slice
evse-control.service    $lib/systemd/system/evse-control.service
evse-agent.service      $lib/systemd/system/evse-agent.service
evse-console@.service   $lib/systemd/system/evse-console@.service
evse-config.path        $lib/systemd/system/evse-config.path
evse-config.service     $lib/systemd/system/evse-config.service
evse-slots.path         $lib/systemd/system/evse-slots.path
evse-slots.service      $lib/systemd/system/evse-slots.service
evse-retry@.service     $lib/systemd/system/evse-retry@.service
evse-retry@.timer       $lib/systemd/system/evse-retry@.timer
sysusers.conf           $lib/sysusers.d/evse-agent.conf
tmpfiles.conf           $lib/tmpfiles.d/evse-agent.conf
modules-load.conf       $lib/modules-load.d/evse-agent.conf
udev.rules              $lib/udev/rules.d/60-evse-agent.rules
journald.conf           $lib/systemd/journald.conf.d/evse-agent.conf
watchdog.conf           $lib/systemd/system.conf.d/evse-agent.conf
TEXT
}

# A service manager that runs; in an image that is being built, or a chroot, there is none.
running() { [ -d /run/systemd/system ]; }

# ---- install ----
check_machine() {
    command -v systemctl >/dev/null || refuse "needs systemd; without it see docs/operating.md, 'Run'"
    python=$(command -v python3) || refuse "needs Python 3.11 or newer: apt-get install python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        refuse "needs Python 3.11 or newer, and this is $("$python" --version)"
    "$python" -c 'import venv, sqlite3, ssl' 2>/dev/null || refuse "this Python is not whole: apt-get install python3"
}

find_wheels() {
    [ -n "$wheels" ] || wheels=$here/wheels
    [ -d "$wheels" ] && return
    say "downloading what the agent needs"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    "$python" -m venv "$scratch/venv" >/dev/null ||
        refuse "cannot download without pip: apt-get install python3-venv, or install from a bundle ('make bundle')"
    machine=$(uname -m)-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$scratch/venv/bin/python" "$here/packaging/make_bundle.py" --out "$scratch" \
        --machines "${machine%-*}" --pythons "${machine##*-}" || refuse "the download failed; install from a bundle instead"
    tar -C "$scratch" -xf "$scratch"/evse-agent-*-bundle.tar
    wheels=$(echo "$scratch"/evse-agent-*-bundle/wheels)
}

put_units() {
    places | while read -r source target; do
        install -D -m 644 "$here/systemd/$source" "$target"
    done
    mkdir -p "$lib/evse-agent"
    cp -r "$here/systemd/examples" "$lib/evse-agent/"
    for command in evse-agent evse-control evse-console evse-slots; do
        ln -sfn "$root/current/bin/$command" "$bin/$command"
    done
}

# The manufacturer's roots, where the bundle carries them: what updates must be signed with (docs/updates.md).
put_roots() {
    for pem in "$here"/manufacturer/*.pem; do
        [ ! -e "$pem" ] || install -D -m 644 "$pem" "$roots/${pem##*/}"
    done
}

put_config() {
    install -m 644 "$here/config.example.yaml" "$root/config.example.yaml"
    if [ -e "$etc/config.yaml" ]; then
        [ -z "$config" ] || say "$etc/config.yaml is there already and stays; $config was not used"
    elif [ -n "$config" ]; then
        install -m 640 -o evse -g evse-link "$config" "$etc/config.yaml"
    fi
}

install_all() {
    check_machine
    [ -z "$config" ] || [ -r "$config" ] || refuse "$config cannot be read"
    find_wheels
    mkdir -p "$root"
    "$python" -I "$here/packaging/place.py" --root "$root" --wheels "$wheels" $downgrade
    [ -n "$packaged" ] || put_units
    systemd-sysusers
    systemd-tmpfiles --create evse-agent.conf || refuse "the folders could not be made; what systemd-tmpfiles says is above"
    put_roots
    put_config
    systemctl --quiet enable evse-control.service evse-agent.service evse-slots.path evse-config.path
    if running; then
        systemctl daemon-reload
        ! command -v udevadm >/dev/null || udevadm control --reload 2>/dev/null || true
        systemctl try-restart systemd-modules-load.service 2>/dev/null || true
    fi
    finish
}

finish() {
    if [ ! -e "$etc/config.yaml" ]; then
        say "installed. Next: cp $root/config.example.yaml $etc/config.yaml, change it (docs/operating.md, 'Configure'),"
        say "then: evse-agent check-config $etc/config.yaml && systemctl start evse-control evse-agent"
        return
    fi
    "$root/current/bin/evse-agent" check-config "$etc/config.yaml" || {
        [ -z "$packaged" ] || { say "the configuration needs a look before the new version can run" >&2; return; }
        refuse "the program is in place, but its configuration needs a look (above); nothing was restarted"
    }
    [ -n "$start" ] && running || return 0
    # Contactors open while control restarts. The agent goes first, so that it takes note of the charge that goes on.
    systemctl reset-failed evse-control.service evse-agent.service 2>/dev/null || true
    systemctl restart evse-slots.path evse-config.path evse-control.service evse-agent.service
    systemctl try-restart 'evse-console@*.service'
    say "running: evse-agent status"
}

# ---- remove ----
remove_all() {
    if running; then
        systemctl stop evse-slots.path evse-config.path 'evse-console@*.service' 'evse-retry@*.timer' evse-agent.service evse-control.service 2>/dev/null || true
    fi
    systemctl --quiet disable evse-control.service evse-agent.service evse-slots.path evse-config.path 2>/dev/null || true
    if [ -z "$packaged" ]; then
        places | while read -r _ target; do rm -f "$target"; done
        rm -rf "$lib/evse-agent"
        for command in evse-agent evse-control evse-console evse-slots; do rm -f "$bin/$command"; done
    fi
    rm -rf "$root" /run/evse-agent
    ! running || systemctl daemon-reload
    if [ -n "$purge" ]; then
        rm -rf "$etc" "$roots" /var/lib/evse-agent /var/lib/evse-control /var/log/evse-agent
        rm -rf /etc/systemd/system/evse-control.service.d /etc/systemd/system/evse-agent.service.d
        rm -rf /etc/systemd/system/evse-console@*.service.d /etc/systemd/system/*.wants/evse-console@*.service
        for user in evse-console evse-control evse; do userdel "$user" 2>/dev/null || true; done
        for group in evse-link evse-observe evse-operate evse-service; do groupdel "$group" 2>/dev/null || true; done
        say "removed, with configuration and records"
    else
        say "removed. Configuration ($etc) and records (/var/lib/evse-agent) stay; --purge takes them away"
    fi
}

case $action in
    install) [ -z "$purge" ] || { usage >&2; exit 2; }; install_all ;;
    remove) remove_all ;;
esac
