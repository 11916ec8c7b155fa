"""OCPP 2's NetworkConnectionProfile, in its words, read into a way to a network and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.ocpp.move_request import check_identity, operator_of
from agent.ocpp.network_profile import NetworkProfile, ProposalError, address_problem, literal_password

VERSIONS: Mapping[str, str] = {
    "OCPP16": "ocpp1.6",
    "OCPP20": "ocpp2.0.1",
    "OCPP201": "ocpp2.0.1",
    "OCPP21": "ocpp2.1",
}
"""OCPPVersionEnumType, as far as it is spoken here. 2.0.1 calls itself OCPP20: version 2.0 is spoken nowhere."""

TIMEOUTS_S = (1, 600)
"""As OCPPCommCtrlr.MessageTimeout takes them."""


def version_word(profile: NetworkProfile) -> str:
    """The version that is offered first, in the words of 2.1."""
    return {"ocpp1.6": "OCPP16", "ocpp2.0.1": "OCPP201", "ocpp2.1": "OCPP21"}[profile.versions[0]]


def read_profile(data: Mapping[str, Any], base: NetworkProfile) -> NetworkProfile:
    """Read ``connectionData`` of a SetNetworkProfile that its schema allows. ``base``: the way in use.

    Without a password of its own (2.1) the profile has none: it takes that of the way in use when it is tried. Raises
    ProposalError (B09.FR.02).
    """
    for name in ("apn", "vpn"):
        if name in data:
            raise ProposalError(f"{name}: modem and tunnels are set up on the machine, not by OCPP; leave it out")
    if data["ocppTransport"] != "JSON":
        raise ProposalError(f"ocppTransport {data['ocppTransport']}: JSON only")
    told = data.get("ocppVersion")
    if told is not None and told not in VERSIONS:
        raise ProposalError(f"ocppVersion {told}: {', '.join(VERSIONS)} are spoken here")
    # 2.1: without a version the one that is spoken goes on.
    versions = base.versions if told is None else (VERSIONS[told],)
    url, level = with_address(data["ocppCsmsUrl"]), data["securityProfile"]
    identity = data.get("identity", base.identity)
    check_identity(identity)
    password = literal_password(data["basicAuthPassword"])[0] if "basicAuthPassword" in data else b""
    check_timeout(data["messageTimeout"])
    check_level(level, url)
    return NetworkProfile(
        url,
        identity,
        level,
        password=password,
        ca_file=base.ca_file,
        operator=operator_of(url, identity, base),
        versions=versions,
        message_timeout_s=data["messageTimeout"],
        interface=data["ocppInterface"],
    )


def changed(profile: NetworkProfile, name: str, text: str) -> NetworkProfile:
    """Return the profile with one variable of NetworkConfiguration changed (2.1 B09.FR.23). Raises ProposalError."""
    match name:
        case "OcppCsmsUrl":
            url = with_address(text)
            return replace(profile, url=url, tls_url="", operator=f"{url} {profile.identity}")
        case "OcppInterface":
            return replace(profile, interface=text)
        case "OcppVersion" if text in VERSIONS:
            return replace(profile, versions=(VERSIONS[text],))
        case "MessageTimeout":
            return replace(profile, message_timeout_s=check_timeout(_whole(name, text)))
        case "SecurityProfile":
            return replace(profile, security_profile=check_level(_whole(name, text), profile.url))
        case "Identity":
            check_identity(text)
            return replace(profile, identity=text, operator=f"{profile.url} {text}")
        case "BasicAuthPassword":
            return replace(profile, password=literal_password(text)[0], spare_password=b"")
    raise ProposalError(f"{name}: {text[:40]!a} is not offered")


def with_address(text: str) -> str:
    """Raises ProposalError for what one cannot connect to."""
    problem = address_problem("url", text) if text else "is empty"
    if problem:
        raise ProposalError(f"ocppCsmsUrl {problem}")
    return text


def check_timeout(seconds: int) -> int:
    """Raises ProposalError for one that is out of range."""
    least, most = TIMEOUTS_S
    if not least <= seconds <= most:
        raise ProposalError(f"messageTimeout {seconds}: give {least} to {most} seconds")
    return seconds


def check_level(level: int, url: str) -> int:
    """Raises ProposalError for a security profile that there is none of, or that the address does not go with."""
    if not 0 <= level <= 3:
        raise ProposalError(f"securityProfile {level}: there are 0 to 3")
    if level >= 2 and url.startswith("ws://"):
        raise ProposalError(f"securityProfile {level} needs a wss:// address")
    return level


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ProposalError(f"{name}: {text[:20]!a} is no whole number")
    return int(text)
