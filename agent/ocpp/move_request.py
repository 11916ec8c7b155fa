"""What the network asks for when it wants the charge point at another network, read and checked."""

from __future__ import annotations

import re
from typing import Any

from agent.config.schema.network import SUBPROTOCOLS
from agent.ocpp.network_profile import NetworkProfile, ProposalError, address_problem, level_of, password_forms
from agent.ocpp.trials import DEFAULT_PROOF_S

DEFAULT_WAIT_S = 3600

_IDENTITY = re.compile(r"[A-Za-z0-9*_=+|@.-]{1,48}")
"""OCPP 2.0.1 part 4 §3.1.1, as for ocpp.identity."""

_FIELDS: dict[str, type] = {
    "url": str,
    "tlsUrl": str,
    "identity": str,
    "password": str,
    "securityProfile": int,
    "operator": str,
    "versions": list,
    "provenWithin": int,
    "waitForSessions": int,
}
_WORDS = {str: "text", int: "whole number", list: "list of texts"}


def read_move(request: dict[str, Any], base: NetworkProfile) -> tuple[NetworkProfile, float, float]:
    """Return the new way, the seconds in which it must be proved, and those to wait for sessions to end.

    Fields: docs/security.md. ``base`` is the way in use. Raises ProposalError.
    """
    for name, value in request.items():
        if name not in _FIELDS:
            raise ProposalError(f"{name[:40]!a} is not known here; there are {', '.join(_FIELDS)}")
        if type(value) is not _FIELDS[name]:
            raise ProposalError(f"{name} must be a {_WORDS[_FIELDS[name]]}")
    url = request.get("url", "")
    for name, option in (("url", "url"), ("tlsUrl", "tls_url")):
        problem = address_problem(option, request.get(name, ""))
        if problem or (name == "url" and not url):
            raise ProposalError(f"{name} {problem or 'is missing'}")
    identity = request.get("identity", base.identity)
    check_identity(identity)
    password = request.get("password", "")
    forms = password_forms(password) if password else [b""]
    level = request.get("securityProfile", level_of(url, password))
    if not 0 <= level <= 3:
        raise ProposalError(f"securityProfile {level}: there are 0 to 3")
    if level < base.security_profile:
        raise ProposalError(f"securityProfile {level} is below {base.security_profile}; it may only be raised")
    wanted = NetworkProfile(
        url,
        identity,
        level,
        request.get("tlsUrl", ""),
        forms[0],
        forms[1] if len(forms) > 1 else b"",
        base.ca_file,
        request.get("operator", operator_of(url, identity, base)),
        _versions(request.get("versions"), base),
    )
    within_s = _bounded("provenWithin", request.get("provenWithin", DEFAULT_PROOF_S), 1, 86_400)
    wait_s = _bounded("waitForSessions", request.get("waitForSessions", DEFAULT_WAIT_S), 0, 7 * 86_400)
    return wanted, within_s, wait_s


def operator_of(url: str, identity: str, base: NetworkProfile) -> str:
    """Unless it is said to be the same one, a new network's operator knows nothing of our numbers.

    The same address in another version of OCPP is the same network.
    """
    return base.operator if (url, identity) == (base.url, base.identity) else f"{url} {identity}"


def check_identity(text: str) -> None:
    """Raises ProposalError for what is no identity of a charge point."""
    if not _IDENTITY.fullmatch(text):
        raise ProposalError("identity: 1 to 48 letters, digits and * - _ = + | @ . only")


def check_prerequisites(profile: NetworkProfile, has_root: bool, has_certificate: bool) -> None:
    """White paper A05.FR.02 to 04; 2.0.1 A05.FR.02 and .03. Raises ProposalError."""
    level = profile.security_profile
    if level in (1, 2) and len(profile.password) < 16:
        raise ProposalError(f"security profile {level} needs an AuthorizationKey of 16 bytes or more; set it first")
    if level >= 2 and not has_root:
        raise ProposalError(f"security profile {level} needs a CentralSystemRootCertificate; install one first")
    if level == 3 and not has_certificate:
        raise ProposalError("security profile 3 needs a certificate of the charge point; have one signed first")
    if not profile.secure and level >= 2:
        raise ProposalError(f"security profile {level} needs a wss:// address")


def _versions(told: list[Any] | None, base: NetworkProfile) -> tuple[str, ...]:
    """Those of the present way unless others are asked for."""
    if told is None:
        return base.versions
    if not told or len(set(map(str, told))) != len(told) or not set(map(str, told)) <= set(SUBPROTOCOLS):
        raise ProposalError(f"versions: give some of {', '.join(SUBPROTOCOLS)}, each once, the most wanted first")
    return tuple(map(str, told))


def _bounded(name: str, value: int, least: int, most: int) -> float:
    if not least <= value <= most:
        raise ProposalError(f"{name} {value}: give {least} to {most} seconds")
    return float(value)
