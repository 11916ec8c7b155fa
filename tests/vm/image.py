"""The virtual charger's kernel, first file system and root file system, each built once and kept under ``build/vm``.

Debian's own kernel with every module it needs, plus ``gpio-sim``, which Debian does not build: it is compiled from
Debian's kernel source. Nothing is installed on this machine; packages are downloaded and unpacked.
"""

from __future__ import annotations

import fcntl
import lzma
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm.commands import digest, fresh_folder, make_file_system, run, write_whole
from tests.vm.installed import Installed, install, state_of_the_sources, take_out
from tests.vm.place_of_build import BUILD, GUEST_FILES, MissingError, require, require_root

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "python3", "python3-venv", "kmod", "iproute2", "procps"),
    *("e2fsprogs", "openssl", "ca-certificates"),
)
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4")
"""What the kernel needs to reach the root file system."""
GUEST_MODULES = (
    "virtio_console",
    "virtio_net",
    "virtio_rng",
    "can_raw",
    "vcan",
    "kvaser_pci",
    "i2c_stub",
    "i2c_dev",
    "lm75",
    "i6300esb",
    "uinput",
    "evdev",
    "8250_exar",
)
ROOT_MEGABYTES = 900
_GPIO_SIM = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
_KBUILD = "obj-m := gpio-sim.o\ngpio-sim-y := gpio_sim_main.o irq_sim.o\nccflags-y := -DCONFIG_IRQ_SIM=1\n"
_XZ_MAGIC = b"\xfd7zXZ\x00"


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU is started with."""

    kernel: Path
    initrd: Path
    root: Path
    release: str
    """The kernel's, like ``6.1.0-56-amd64``."""
    installed: Installed
    """What belongs onto the data disk."""


def build() -> Image:
    """Build what is not there yet. Raises MissingError when this machine lacks a tool or a package."""
    require()
    require_root()
    BUILD.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time():
        release = _kernel_release()
        kernel = _kernel(release)
        _gpio_sim(release, kernel)
        vmlinux = _vmlinux(release, kernel)
        root, installed = _root(release, kernel, _root_tar())
        return Image(vmlinux, _initrd(release, kernel), root, release, installed)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kernel_release() -> str:
    """The release that Debian's amd64 kernel package stands for today."""
    text = run("apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"linux-image-(\d\S+-amd64)", text)
    if not found:
        raise MissingError("no package linux-image-amd64 is known here; run apt-get update (Debian 12 amd64)")
    return found[1]


def _downloaded(package: str) -> Path:
    """The .deb of a package, fetched once."""
    debs = BUILD / "debs"
    debs.mkdir(exist_ok=True)
    if not (found := sorted(debs.glob(f"{package}_*.deb"))):
        run("apt-get", "download", package, cwd=debs)
        found = sorted(debs.glob(f"{package}_*.deb"))
    return found[-1]


def _kernel(release: str) -> Path:
    """The kernel package and what modules are compiled with, unpacked."""
    place = BUILD / f"kernel-{release}"
    if not place.exists():
        fresh = fresh_folder(place)
        short = ".".join(release.split(".")[:2])
        for package in (
            f"linux-image-{release}",
            f"linux-headers-{release}",
            f"linux-headers-{release.removesuffix('-amd64')}-common",
            f"linux-kbuild-{short}",
        ):
            run("dpkg-deb", "-x", _downloaded(package), fresh)
        fresh.rename(place)
    return place


def _gpio_sim(release: str, kernel: Path) -> None:
    """Compile gpio-sim (GPL, from Debian's source package) and put it beside the other modules."""
    target = kernel / "lib/modules" / release / "extra/gpio-sim.ko"
    if target.exists():
        return
    short = ".".join(release.split(".")[:2])
    source = fresh_folder(BUILD / "gpio-sim")
    run("dpkg-deb", "-x", _downloaded(f"linux-source-{short}"), source)
    names = [f"linux-source-{short}/{name}" for name in _GPIO_SIM]
    run("tar", "xf", source / f"usr/src/linux-source-{short}.tar.xz", "--strip-components=1", *names, cwd=source)
    module = source / "module"
    module.mkdir()
    shutil.copy(source / _GPIO_SIM[0], module / "gpio_sim_main.c")
    shutil.copy(source / _GPIO_SIM[1], module)
    irq = (source / _GPIO_SIM[2]).read_text()
    # irq_to_desc is not exported to modules; the generic call does the same for a nested interrupt.
    irq = re.sub(r"handle_simple_irq\(irq_to_desc\((.*)\)\);", r"generic_handle_irq(\1);", irq)
    (module / "irq_sim.c").write_text(irq)
    (module / "Kbuild").write_text(_KBUILD)
    _make_headers_whole(kernel, release)
    headers = kernel / f"usr/src/linux-headers-{release}"
    run("make", "-C", headers, f"M={module}", "modules")
    target.parent.mkdir(exist_ok=True)
    shutil.copy(module / "gpio-sim.ko", target)
    shutil.rmtree(source)
    run("depmod", "-b", kernel, release)


def _make_headers_whole(kernel: Path, release: str) -> None:
    """Debian's header packages name each other by absolute paths; here they lie elsewhere."""
    headers = kernel / f"usr/src/linux-headers-{release}"
    common = kernel / f"usr/src/linux-headers-{release.removesuffix('-amd64')}-common"
    kbuild = next((kernel / "usr/lib").glob("linux-kbuild-*"))
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/linux-headers", f"{kernel}/usr/src/linux-headers"))
    for place in (headers, common):
        for name in ("scripts", "tools"):
            link = place / name
            if link.is_symlink():
                link.unlink()
                link.symlink_to(kbuild / name)


def _vmlinux(release: str, kernel: Path) -> Path:
    """The kernel without its own decompression: under emulation that saves seconds at each boot."""
    target = BUILD / f"vmlinux-{release}"
    if not target.exists():
        packed = (kernel / f"boot/vmlinuz-{release}").read_bytes()
        start = packed.find(_XZ_MAGIC)
        if start < 0:
            raise MissingError(f"the kernel {release} is not packed with xz; only that is unpacked here")
        write_whole(target, lzma.LZMADecompressor().decompress(packed[start:]))
    return target


def _module_files(release: str, kernel: Path, names: Sequence[str]) -> list[Path]:
    """The modules and all they need, in loading order."""
    files: dict[Path, None] = {}
    for name in names:
        for line in run("modprobe", "-d", kernel, "-S", release, "--show-depends", name).splitlines():
            if line.startswith("insmod "):
                files[Path(line.split()[1])] = None
    return list(files)


_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules.list); do /bin/busybox insmod /modules/$module; done
i=0
while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do /bin/busybox usleep 100000; i=$((i+1)); done
/bin/busybox mount -t ext4 -o rw /dev/vda /root
/bin/busybox umount /proc /sys
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""


def _initrd(release: str, kernel: Path) -> Path:
    target = BUILD / f"initrd-{release}-{digest(_INIT)}.img"
    if not target.exists():
        place = fresh_folder(BUILD / "initrd")
        (place / "bin").mkdir()
        (place / "modules").mkdir()
        shutil.copy(shutil.which("busybox") or "/bin/busybox", place / "bin/busybox")
        files = _module_files(release, kernel, BOOT_MODULES)
        for file in files:
            shutil.copy(file, place / "modules")
        (place / "modules.list").write_text("\n".join(file.name for file in files) + "\n")
        (place / "init").write_text(_INIT)
        (place / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(place)) for path in sorted(place.rglob("*")))
        packed = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], cwd=place, input=names.encode(), capture_output=True, check=True
        )
        write_whole(target, packed.stdout)
        shutil.rmtree(place)
    return target


def _root_tar() -> Path:
    target = BUILD / f"root-{SUITE}-{digest(' '.join(PACKAGES))}.tar"
    if not target.exists():
        partial = target.with_suffix(".partial.tar")
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")]
        options = ["--mode=root", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"', *excluded]
        run("mmdebstrap", *options, f"--include={','.join(PACKAGES)}", SUITE, partial, MIRROR)
        partial.rename(target)
    return target


def _root(release: str, kernel: Path, tar: Path) -> tuple[Path, Installed]:
    """The root file system as an ext4 image, with the product installed. What a charger keeps is on a second disk
    (``data_disk``)."""
    overlay = GUEST_FILES / "root"
    own = (f"{p.name}{p.read_text()}" for p in sorted(overlay.rglob("*")) if p.is_file())
    stamp = digest(tar.name, release, state_of_the_sources(), *own)
    target, kept = BUILD / f"root-{stamp}.img", BUILD / f"installed-{stamp}"
    if not (target.exists() and kept.exists()):
        _forget_old_ones()
        place, fresh = fresh_folder(BUILD / "root"), fresh_folder(kept)
        run("tar", "xf", tar, "-C", place)
        install(place)
        files = _module_files(release, kernel, (*GUEST_MODULES, "gpio-sim"))
        for file in [*files, *(kernel / "lib/modules" / release).glob("modules.*")]:
            copy = place / "usr" / file.relative_to(kernel)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        run("depmod", "-b", place, release)
        shutil.copytree(overlay, place, dirs_exist_ok=True)
        for name in ("control-port", "charger-hardware"):
            (place / "usr/local/sbin" / name).chmod(0o755)
        run("systemctl", f"--root={place}", "enable", *ENABLED)
        run("systemctl", f"--root={place}", "mask", *MASKED)
        (place / "etc/hostname").write_text("charger\n")
        (place / "etc/machine-id").write_text(f"{'0' * 31}1\n")
        for name in MOUNTED:
            (place / name).mkdir(parents=True, exist_ok=True)
        take_out(place, fresh)
        make_file_system(place, target, ROOT_MEGABYTES)
        shutil.rmtree(kept, ignore_errors=True)
        fresh.rename(kept)
        shutil.rmtree(place)
    return target, Installed(kept)


def _forget_old_ones() -> None:
    """A run of today may still boot from its own."""
    for old in (*BUILD.glob("root-*.img"), *BUILD.glob("installed-*")):
        if time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old) if old.is_dir() else old.unlink()


KEPT_S = 86_400.0
ENABLED = ("control-port.service", "charger-hardware.service")
"""Beside those that the installation enables."""
MOUNTED = ("data", "var/lib/evse-agent", "var/lib/evse-control", "var/log/evse-agent", "var/log/journal")
MASKED = (
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-timesyncd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-update-utmp.service",
    "systemd-pstore.service",
    "systemd-binfmt.service",
)
"""What takes time at boot and has no part in a charger."""
