"""A bundle: one tar with the wheels of a version, a manifest that names each by its SHA-256, and its signature.

    manifest.json    format, version, architecture, python, downgrade, files {name: sha256}
    manifest.sig     base64; over manifest.json, RSA or ECDSA with SHA-256
    signer.pem       certificate of the key that signed, issued by the manufacturer's root
    wheels/*.whl     what goes into the slot, and nothing else

The signature is looked at before anything else is believed, and the wheels before anything is unpacked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.update.verify import Question, Verdict, answer

FORMAT = 1
MAX_SMALL = 256 * 1024
"""Bytes of manifest, signature or certificate at most."""
MAX_FILES = 500
MAX_BYTES = 1024 * 1024 * 1024
"""Of all wheels together."""

_WHEEL = re.compile(r"wheels/[A-Za-z0-9_.+-]{1,200}\.whl")
_VERSION = re.compile(r"\d+(\.\d+){0,3}((a|b|rc|\.dev|\.post)\d+)?(\+[a-z0-9.]+)?")


class BundleError(Exception):
    """The file must not be installed. The text says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    version: str
    architecture: str
    """As ``platform.machine()`` tells it, or "any"."""
    python: str
    """Major and minor version that the wheels were chosen for, like "3.11"; "any" for wheels of pure Python."""
    downgrade: bool
    """The manufacturer allows this version to follow a newer one."""
    files: tuple[tuple[str, str], ...]
    digest: str
    """SHA-256 of the manifest: the bundle's identity."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a signature is judged by."""

    roots: tuple[Path, ...]
    utc_s: float | None
    """None: there is no clock to judge dates by."""
    crl_file: Path | None = None


def version_key(version: str) -> tuple[tuple[int, ...], int, int]:
    """Order of versions: by numbers; a pre-release comes before its release, ``.post`` after it (PEP 440)."""
    match = re.match(r"(\d+(?:\.\d+)*)(?:(\.dev|a|b|rc|\.post)(\d+))?", version)
    if match is None:
        raise BundleError(f"{version!r} is no version number")
    numbers = tuple(int(part) for part in match[1].split("."))
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    rank = {".dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, ".post": 1}[match[2]]
    return numbers, rank, int(match[3] or 0)


def open_bundle(file: Path, trust: Trust, scratch: Path) -> tuple[Manifest, list[Path]]:
    """Check a bundle wholly and lay its wheels into ``scratch``. Raises BundleError."""
    try:
        with tarfile.open(file) as archive:
            small = {name: _small(archive, name) for name in ("manifest.json", "manifest.sig", "signer.pem")}
            _check_signature(small, trust, scratch)
            manifest = _manifest(small["manifest.json"])
            return manifest, _wheels(archive, manifest, set(small), scratch)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BundleError(f"{file.name} cannot be read as a bundle: {error}") from None


def check_machine(manifest: Manifest, machine: str = "", python: str = "") -> None:
    """Raise BundleError unless the bundle was made for this machine."""
    machine = machine or platform.machine()
    python = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    if manifest.architecture not in ("any", machine):
        raise BundleError(f"made for {manifest.architecture}, and this machine is {machine}")
    if manifest.python not in ("any", python):
        raise BundleError(f"made for Python {manifest.python}, and this machine has {python}")


def check_order(manifest: Manifest, running: str | None) -> None:
    """Raise BundleError when it is older than what runs and its manufacturer did not sign that it may be."""
    if running is None or manifest.downgrade:
        return
    try:
        older = version_key(manifest.version) < version_key(running)
    except BundleError:
        return  # what runs has no number to compare with: put there by hand
    if older:
        raise BundleError(f"version {manifest.version} is older than {running}, and not signed as a downgrade")


def pack(
    out: Path,
    wheels: Sequence[Path],
    version: str,
    key_pem: bytes,
    certificate: str,
    *,
    architecture: str = "any",
    python: str = "any",
    downgrade: bool = False,
) -> Manifest:
    """Write a bundle, signed with the manufacturer's key. Raises BundleError."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    text = json.dumps(
        {
            "format": FORMAT,
            "version": version,
            "architecture": architecture,
            "python": python,
            "downgrade": downgrade,
            "files": {f"wheels/{path.name}": _digest(path) for path in sorted(wheels)},
        },
        indent=1,
    ).encode("utf-8")
    manifest = _manifest(text)
    key = serialization.load_pem_private_key(key_pem, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(text, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        raise BundleError("the key is neither RSA nor of an elliptic curve")
    with tarfile.open(out, "w") as archive:
        for name, data in (
            ("manifest.json", text),
            ("manifest.sig", base64.b64encode(signature)),
            ("signer.pem", certificate.encode("ascii")),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for path in sorted(wheels):
            archive.add(path, f"wheels/{path.name}")
    return manifest


def _small(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.getmember(name)
    except KeyError:
        raise BundleError(f"holds no {name}") from None
    source = archive.extractfile(member) if member.isfile() and member.size <= MAX_SMALL else None
    if source is None:
        raise BundleError(f"{name} is no plain file of a sensible size")
    return source.read()


def _check_signature(small: dict[str, bytes], trust: Trust, scratch: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=scratch) as manifest:
        manifest.write(small["manifest.json"])
        manifest.flush()
        verdict, text = answer(
            Question(
                small["signer.pem"].decode("ascii", "replace"),
                tuple(str(root) for root in trust.roots),
                trust.utc_s,
                "" if trust.crl_file is None else str(trust.crl_file),
                manifest.name,
                small["manifest.sig"].decode("ascii", "replace"),
            )
        )
    if verdict is not Verdict.GOOD:
        raise BundleError(f"is not signed by the manufacturer: {text}")


def _manifest(text: bytes) -> Manifest:
    try:
        values: dict[str, Any] = json.loads(text)
        files = values["files"]
        if values["format"] != FORMAT:
            raise BundleError(f"has format {values['format']!r}; this installer knows {FORMAT}")
        manifest = Manifest(
            str(values["version"]),
            str(values["architecture"]),
            str(values["python"]),
            values["downgrade"] is True,
            tuple((str(name), str(digest)) for name, digest in files.items()),
            hashlib.sha256(text).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"manifest.json is no manifest ({type(error).__name__}: {error})") from None
    if not _VERSION.fullmatch(manifest.version):
        raise BundleError(f"manifest.json: {manifest.version!r} is no version number")
    if not 1 <= len(manifest.files) <= MAX_FILES:
        raise BundleError(f"manifest.json names {len(manifest.files)} files; 1 to {MAX_FILES} are wanted")
    wrong = next((name for name, _ in manifest.files if not _WHEEL.fullmatch(name)), None)
    if wrong is not None:
        raise BundleError(f"manifest.json: {wrong!r} is no wheel")
    return manifest


def _wheels(archive: tarfile.TarFile, manifest: Manifest, small: set[str], scratch: Path) -> list[Path]:
    wanted, found, total = dict(manifest.files), list[Path](), 0
    for member in archive:
        if member.name in small:
            continue
        digest = wanted.pop(member.name, None)
        if digest is None:
            raise BundleError(f"holds {member.name!r}, which the manifest does not name (or twice)")
        source = archive.extractfile(member) if member.isfile() else None
        total += member.size
        if source is None or total > MAX_BYTES:
            raise BundleError(f"{member.name} is no plain file, or there is too much of it")
        path = scratch / Path(member.name).name
        with path.open("xb") as copy:
            shutil.copyfileobj(source, copy)
        if _digest(path) != digest:
            raise BundleError(f"{member.name} is not the file that the manifest names")
        found.append(path)
    if wanted:
        raise BundleError(f"{next(iter(wanted))} is missing")
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_roots(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The manufacturer's root certificates in these folders. One that others may write is not believed."""
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.pem")):
            about = path.stat()
            if about.st_uid in (0, os.geteuid()) and not about.st_mode & 0o022:
                found.append(path)
    return tuple(found)
