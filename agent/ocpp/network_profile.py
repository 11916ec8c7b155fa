"""One way to a network: address, identity, credentials and security profile; from the configuration or from a file."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config.schema import Config, Network, Ocpp

_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}")
_TEXT_KEY = re.compile(r"[!-~]{16,40}")


class ProposalError(ValueError):
    """A change that is refused. The text says why, and may be shown to the network."""


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One way to a network, complete."""

    url: str
    identity: str
    security_profile: int
    tls_url: str = ""
    password: bytes = field(default=b"", repr=False)
    spare_password: bytes = field(default=b"", repr=False)
    """The other reading of a key that was given in hexadecimal digits; tried too until one is proved."""
    ca_file: Path | None = None
    operator: str = ""
    versions: tuple[str, ...] = ("ocpp1.6",)
    """Sub-protocols to offer, most wanted first."""
    message_timeout_s: int = 0
    """Of calls over this way; 0: as OCPPCommCtrlr.MessageTimeout says."""
    interface: str = ""
    """As the network named it (ocppInterface). Kept and told; the routes are the operating system's."""

    @property
    def address(self) -> str:
        """Where to connect: with TLS from security profile 2 on."""
        if self.security_profile < 2 or self.url.startswith("wss://"):
            return self.url
        return self.tls_url or _with_tls(self.url)

    @property
    def secure(self) -> bool:
        return self.address.startswith("wss://")

    @property
    def basic_password(self) -> bytes | None:
        """What goes with the identity in the Authorization header; None where the profile has none."""
        return self.password if self.security_profile in (1, 2) and self.password else None

    @property
    def route(self) -> tuple[object, ...]:
        """What a connection is made with. Two ways that differ in nothing else need no new one."""
        return (self.address, self.identity, self.basic_password, self.security_profile, self.ca_file, self.versions)

    def digest(self) -> str:
        """What tells this entry of the configuration from a changed one."""
        document = _plain(self)
        if self.versions == ("ocpp1.6",):
            del document["versions"]  # as before there were several
        del document["message_timeout_s"], document["interface"]  # never of the configuration
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        return _plain(self)


def configured(config: Config) -> list[NetworkProfile]:
    """Return the ways of the configuration file, in order; ``ocpp.url`` is the first."""
    ocpp = config.ocpp
    first = _configured(ocpp, config.identity)
    return [
        first,
        *(_configured(entry, entry.identity or config.identity, ocpp.versions) for entry in ocpp.networks),
    ]


def _configured(entry: Ocpp | Network, identity: str, versions: tuple[str, ...] = ()) -> NetworkProfile:
    level = entry.security_profile
    return NetworkProfile(
        entry.url,
        identity,
        level_of(entry.url, entry.password) if level is None else level,
        entry.tls_url,
        entry.password.encode(),
        b"",
        entry.ca_file,
        entry.operator if isinstance(entry, Network) else "",
        entry.versions or versions,
    )


def level_of(url: str, password: str) -> int:
    """The security profile that address and password amount to."""
    if not password:
        return 0
    return 2 if url.startswith("wss://") else 1


def password_forms(text: str) -> list[bytes]:
    """Return the readings of an AuthorizationKey, likeliest first. Raises ProposalError.

    White paper 7.2: 16 to 20 bytes, given in hexadecimal digits. Networks that give plain text are common.
    """
    forms = []
    if _HEX_KEY.fullmatch(text):
        forms.append(bytes.fromhex(text))
    if _TEXT_KEY.fullmatch(text):
        forms.append(text.encode("ascii"))
    if not forms:
        raise ProposalError("AuthorizationKey: give 32 to 40 hexadecimal digits, or 16 to 40 letters without blanks")
    return forms


def literal_password(text: str) -> list[bytes]:
    """Return a BasicAuthPassword as it goes over the wire (2.0.1 A00.FR.205: as it is, in UTF-8). Raises ProposalError.

    A list, as ``password_forms`` gives one: there is nothing to guess.
    """
    if not _TEXT_KEY.fullmatch(text):
        raise ProposalError("BasicAuthPassword: give 16 to 40 letters, digits and signs, without blanks")
    return [text.encode("ascii")]


def _with_tls(url: str) -> str:
    """The same place with TLS; the plain default port becomes that of TLS."""
    parts = urlsplit(url)
    place = parts.netloc.removesuffix(":80")
    return f"wss://{place}{parts.path}"


def _plain(profile: NetworkProfile) -> dict[str, Any]:
    return {
        "url": profile.url,
        "identity": profile.identity,
        "security_profile": profile.security_profile,
        "tls_url": profile.tls_url,
        "password": profile.password.hex(),
        "spare_password": profile.spare_password.hex(),
        "ca_file": None if profile.ca_file is None else str(profile.ca_file),
        "operator": profile.operator,
        "versions": list(profile.versions),
        "message_timeout_s": profile.message_timeout_s,
        "interface": profile.interface,
    }


def from_document(document: dict[str, Any]) -> NetworkProfile:
    """Raises KeyError, ValueError or TypeError for what is none."""
    level = document["security_profile"]
    if type(level) is not int or not 0 <= level <= 3:
        raise ValueError(f"security_profile {level!r}")
    ca_file = document["ca_file"]
    return NetworkProfile(
        str(document["url"]),
        str(document["identity"]),
        level,
        str(document["tls_url"]),
        bytes.fromhex(document["password"]),
        bytes.fromhex(document["spare_password"]),
        None if ca_file is None else Path(ca_file),
        str(document["operator"]),
        # Documents from before there were several versions have none.
        tuple(map(str, document.get("versions", ("ocpp1.6",)))),
        int(document.get("message_timeout_s", 0)),
        str(document.get("interface", "")),
    )


def address_problem(option: str, value: str) -> str:
    """The rule of the configuration file for such an address."""
    rule = next(entry.metadata["rule"] for entry in fields(Ocpp) if entry.name == option)
    return str(rule.check(value)) if len(value) <= 500 else "is longer than 500 characters"
