"""The operator's network: its addresses, and how the link to it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from hal.options import option


class KeyType(Enum):
    """Kind of key that is made for a certificate of the charge point."""

    P256 = "p256"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"


SUBPROTOCOLS = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")
"""OCPP versions that we speak, by their sub-protocols (agent.ocpp.session has where)."""


def _versions(words: tuple[str, ...]) -> str:
    """At least one, each once."""
    unknown = [word for word in words if word not in SUBPROTOCOLS]
    if unknown:
        return f"{unknown[0]!r} is not spoken here; choose from {', '.join(SUBPROTOCOLS)}"
    if not words or len(set(words)) != len(words):
        return "must name at least one version, and each once"
    return ""


def _network_address(value: str) -> str:
    """RFC 6455 §3, less user, query and fragment: the identity is added behind the path."""
    if not value:
        return ""
    scheme, found, rest = value.partition("://")
    if not found or scheme not in ("ws", "wss"):
        return "must begin with ws:// or wss://"
    place = rest.partition("/")[0]
    if "@" in place:
        return "must not hold user or password; give ocpp.password"
    host, _, port = place.rpartition(":") if not place.endswith("]") and ":" in place else (place, "", "")
    if not host.strip("[]"):
        return f"{value!r} names no host; write it as wss://host/path"
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        return f"{port!r} is no port; give 1 to 65535 after the host, or none"
    if not value.isascii() or any(character <= " " or character in "?#" for character in value):
        return "must not hold blanks, '?', '#' or letters outside ASCII; write host and path only"
    return ""


def _given_address(value: str) -> str:
    return _network_address(value) if value else "is empty; give an address, or remove this network"


def _tls_address(value: str) -> str:
    if value.startswith("ws://"):
        return "must begin with wss://"
    return _network_address(value)


@dataclass(frozen=True, slots=True)
class Network:
    """One more way to a network, tried in order when those before it cannot be reached."""

    url: str = option(help="ws:// or wss:// address; the identity is added to it", check=lambda v: _given_address(v))
    tls_url: str = option(
        "", help="wss:// address for security profiles 2 and 3, when not that of url", check=lambda v: _tls_address(v)
    )
    identity: str = option("", help="charge point identity there; that of ocpp when empty")
    password: str = option("", help="basic-authentication password there (AuthorizationKey)", secret=True)
    security_profile: int | None = option(
        None, help="0 to 3; what address and password say when left out", choices=(0, 1, 2, 3)
    )
    ca_file: Path | None = option(None, help="root certificates that its certificate must chain to")
    versions: tuple[str, ...] = option(
        (),
        help="OCPP versions offered there, most wanted first; those of ocpp when empty",
        check=lambda v: _versions(v) if v else "",
    )
    operator: str = option("", help="whose books it keeps; those of one name share transaction numbers")


@dataclass(frozen=True, slots=True)
class Ocpp:
    """The operator's network."""

    url: str = option(
        "",
        help="ws:// or wss:// address of the network; the identity is added to it; empty to run without one",
        check=lambda v: _network_address(v),
    )
    identity: str = option("", help="charge point identity; the serial number when empty")
    password: str = option("", help="basic-authentication password (AuthorizationKey)", secret=True)
    ca_file: Path | None = option(None, help="root certificates that the network's certificate must chain to")
    tls_url: str = option(
        "",
        help="wss:// address for security profiles 2 and 3, when not that of url",
        check=lambda v: _tls_address(v),
    )
    security_profile: int | None = option(
        None, help="0 to 3; what address and password say when left out", choices=(0, 1, 2, 3)
    )
    versions: tuple[str, ...] = option(
        ("ocpp1.6",),
        help="OCPP versions offered, most wanted first: ocpp2.1, ocpp2.0.1, ocpp1.6; the network chooses among them",
        check=lambda v: _versions(v),
    )
    key_type: KeyType = option(KeyType.P256, help="key made for a certificate of the charge point")
    networks: tuple[Network, ...] = option((), help="further ways to a network, tried in this order")
    allow_profile_downgrade: bool = option(
        False, help="OCPP 2.1 may go from security profile 3 to 2, and no lower, by a network profile"
    )
    network_attempts: int = option(3, help="tries of one before the next is tried", ge=1, le=100)
    connect_timeout_s: float = option(15.0, help="for connection and handshake together", unit="s", ge=1, le=120)
    ping_timeout_s: float = option(
        20.0, help="how long a pong may take before the link counts as dead", unit="s", ge=1, le=120
    )
    back_off_minimum_s: float = option(2.0, help="first wait before a reconnect", unit="s", ge=0.1, le=3600)
    back_off_random_s: float = option(5.0, help="random part added to each wait", unit="s", ge=0, le=3600)
    back_off_repeats: int = option(6, help="how often the wait doubles", ge=0, le=12)
    settings: Mapping[str, str] = option(
        help="initial value of any OCPP key by its standard name; a later ChangeConfiguration wins",
        default_factory=lambda: MappingProxyType({}),
    )
