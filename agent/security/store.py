"""Certificates on disk: trusted roots, and the charge point's own with their keys.

``roots/central/``, ``roots/manufacturer/`` and their like hold one file per root, ``client/`` one file per certificate
of the charge point (key and chain together, so that one rename makes both). All are readable by their owner only. The
first line of a file in ``client/`` says from when to when it is valid, so that choosing one needs no cryptography.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from agent.security.files import SecretFileError, make_folder, remove, write_secret

if TYPE_CHECKING:
    from agent.security.certificates import Certificate, CertificateHash

LOGGER = logging.getLogger(__name__)

CLIENT_CERTIFICATES = 2
"""The one in use and its predecessor, which stays as a fallback (A02: for a month, or until it expires)."""

_VALID = re.compile(rb"# valid from ([0-9.]+) until ([0-9.]+)\n")
_NAME = re.compile(r"[0-9]{8}\.pem")


class RootUse(Enum):
    """Values are folders. Connections believe the first alone, firmware the second; the others are of ISO 15118."""

    CENTRAL = "central"
    MANUFACTURER = "manufacturer"
    V2G = "v2g"
    MOBILITY_OPERATOR = "mobility_operator"
    VEHICLE_MANUFACTURER = "vehicle_manufacturer"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """One of the charge point's own. Times in seconds since 1970."""

    path: Path
    valid_from: float
    valid_until: float


class CertificateStore:
    """Every method that writes raises ``agent.security.files.SecretFileError`` when the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client_folder = folder / "client"
        self.in_use: Path | None = None
        """The charge point's certificate that the latest connection was tried with."""
        self._newest_tried = False
        """The latest connection was tried with the network's new root alone."""

    # ---- roots ----

    def roots(self, use: RootUse) -> list[Path]:
        """Return the files of the trusted roots, oldest first."""
        folder = self._folder / "roots" / use.value
        files = [path for path in folder.glob("*.pem") if path.is_file()] if folder.is_dir() else []
        return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def begin_replacement(self) -> None:
        """The newest root of the network is to take the place of its predecessor, as soon as it has proved itself."""
        write_secret(self._replacement, b"")

    def believed(self, tries: int) -> list[Path]:
        """Return the network's roots to believe after so many failed tries in a row.

        While one replaces another each is tried alone, the newer one first (2.0.1 M05.FR.14).
        """
        roots = self.roots(RootUse.CENTRAL)
        replacing = len(roots) > 1 and self._replacement.exists()
        self._newest_tried = replacing and tries % 2 == 0
        if not replacing:
            return roots
        return roots[-1:] if self._newest_tried else roots[:-1]

    def replacement_proved(self) -> None:
        """A network has registered us on this connection: where that was by the new root, its predecessor goes
        (2.0.1 M05.FR.13). Errors are logged."""
        if not self._newest_tried:
            return
        try:
            for path in self.roots(RootUse.CENTRAL)[:-1]:
                remove(path)
            remove(self._replacement)
        except SecretFileError as error:
            LOGGER.error("%s", error)
        self._newest_tried = False

    @property
    def _replacement(self) -> Path:
        return self._folder / "roots" / RootUse.CENTRAL.value / "replacing"

    def count(self) -> int:
        """How many certificates are stored, the charge point's own included."""
        return sum(len(self.roots(use)) for use in RootUse) + len(self.clients())

    def read_roots(self, use: RootUse) -> list[tuple[Path, Certificate]]:
        """Return the roots that can be read; one that cannot is named in the log."""
        from agent.security.certificates import CertificateError, read_chain

        found = []
        for path in self.roots(use):
            try:
                found.append((path, read_chain(path.read_text("ascii"))[0]))
            except (OSError, UnicodeError, CertificateError) as error:
                LOGGER.error("%s: is not used as a root: %s", path, error)
        return found

    def add_root(self, use: RootUse, certificate: Certificate) -> Path:
        from agent.security.certificates import fingerprint, pem_of

        make_folder(self._folder)
        make_folder(self._folder / "roots")
        path = self._folder / "roots" / use.value / f"{fingerprint(certificate)[:32]}.pem"
        write_secret(path, pem_of([certificate]).encode("ascii"))
        return path

    def find_root(self, wanted: CertificateHash) -> tuple[RootUse, Path] | None:
        """Find a root by what names it towards the network."""
        from agent.security.certificates import hash_of

        everything = [one for use in RootUse for one in self.read_roots(use)]
        for use in RootUse:
            for path, certificate in self.read_roots(use):
                issuer = self.issuer_of(certificate, [known for _, known in everything])
                if hash_of(certificate, issuer, wanted.algorithm).same(wanted):
                    return use, path
        return None

    @staticmethod
    def issuer_of(certificate: Certificate, known: Sequence[Certificate]) -> Certificate:
        """Return who signed it: itself or one of the known; itself when nobody is known to have."""
        from agent.security.certificates import signed_by_any

        return next((one for one in (certificate, *known) if signed_by_any(certificate, [one])), certificate)

    # ---- the charge point's own ----

    def clients(self) -> list[ClientCertificate]:
        """Return the charge point's certificates, newest first (A02: by the begin of their validity)."""
        if not self._client_folder.is_dir():
            return []
        found = []
        for path in sorted(self._client_folder.iterdir(), reverse=True):
            if not _NAME.fullmatch(path.name):
                continue
            with path.open("rb") as file:
                times = _VALID.match(file.readline(200))
            if times is not None:
                found.append(ClientCertificate(path, float(times[1]), float(times[2])))
        return sorted(found, key=lambda one: one.valid_from, reverse=True)

    def usable_clients(self, utc_s: float | None) -> list[ClientCertificate]:
        """Return those that are valid now, newest first; all when there is no clock to judge by."""
        return [one for one in self.clients() if utc_s is None or (one.valid_from - 86_400 <= utc_s <= one.valid_until)]

    def write_pending_key(self, key_pem: bytes) -> None:
        """Keep the key of a signing request until its certificate comes."""
        make_folder(self._folder)
        write_secret(self._client_folder / "pending.key", key_pem)

    def pending_key(self) -> bytes | None:
        try:
            return (self._client_folder / "pending.key").read_bytes()
        except FileNotFoundError:
            return None

    def add_client(self, chain: Sequence[Certificate], key_pem: bytes) -> ClientCertificate:
        """Store a signed certificate with its key, and drop all but the newest few."""
        from agent.security.certificates import pem_of, valid_from, valid_until

        since, until = valid_from(chain[0]), valid_until(chain[0])
        numbers = [int(one.path.stem) for one in self.clients()]
        path = self._client_folder / f"{max(numbers, default=0) + 1:08d}.pem"
        head = f"# valid from {since:.0f} until {until:.0f}\n"
        write_secret(path, head.encode() + key_pem + pem_of(chain).encode("ascii"))
        remove(self._client_folder / "pending.key")
        for old in sorted(self.clients(), key=lambda one: one.path.name, reverse=True)[CLIENT_CERTIFICATES:]:
            remove(old.path)
        return ClientCertificate(path, since, until)

    def discard_client(self, path: Path) -> bool:
        """Delete one of the charge point's own. False, and logged, when the disk does not do it."""
        try:
            remove(path)
        except SecretFileError as error:
            LOGGER.error("%s", error)
            return False
        return True

    def is_client(self, wanted: CertificateHash) -> bool:
        """Whether this names one of the charge point's own. Its issuer's key may be unknown: name and number decide."""
        from agent.security.certificates import CertificateError, hash_of, read_chain

        for one in self.clients():
            try:
                text = one.path.read_text("ascii")
                leaf = read_chain(text[text.index("-----BEGIN CERTIFICATE") :])[0]
            except (OSError, ValueError, CertificateError):
                continue
            own = hash_of(leaf, leaf, wanted.algorithm)
            if own.issuer_name == wanted.issuer_name.casefold() and own.serial_number.lstrip(
                "0"
            ) == wanted.serial_number.casefold().lstrip("0"):
                return True
        return False
