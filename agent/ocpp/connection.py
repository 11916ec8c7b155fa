"""The WebSocket to the operator's network: opened with every check, watched for silence, closed within a bound.

``websockets`` does the protocol. What it leaves to us (observed with 17.4): a server that agrees on no sub-protocol
is connected all the same; its own reconnect gives up on 401, 404 and 429; a half-open link swallows megabytes before
``send`` notices. So this module checks the sub-protocol, classifies nothing as final, and pings by its own clock.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from agent.clock import EARLIEST_PLAUSIBLE_UTC_S
from agent.ocpp.frames import MAX_FRAME_BYTES
from agent.ocpp.network_profile import NetworkProfile
from agent.security.events import SecurityEvent
from agent.security.store import CertificateStore
from agent.security.tls import TlsError, client_context, dates_problem, meaning

LOGGER = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0

CLOCKS_AGREE_S = 3600.0
"""The system's clock and ours are taken for the same up to here."""

TRIES_PER_CERTIFICATE = 2

GOING_AWAY = 1001
PROTOCOL_ERROR = 1002

_WEBSOCKETS_LOGGER = logging.getLogger("agent.ocpp.websockets")
# Its debug lines hold whole frames and the Authorization header.
_WEBSOCKETS_LOGGER.setLevel(logging.WARNING)


class ConnectError(Exception):
    """The network could not be reached, or not as configured. The text says what to look at."""

    def __init__(self, text: str, event: SecurityEvent | None = None) -> None:
        """``event``: the security event that this is, if it is one."""
        super().__init__(text)
        self.event = event


def charge_point_url(url: str, identity: str) -> str:
    """Add the identity to the network's address, percent-encoded (OCPP-J 1.6 §3.1.1). A query stays at the end."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + "/" + quote(identity, safe="")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def basic_authorisation(identity: str, password: bytes) -> str:
    """Return the value of the Authorization header (security profiles 1 and 2)."""
    return "Basic " + base64.b64encode(identity.encode() + b":" + password).decode("ascii")


def tls_context(
    way: NetworkProfile, certificates: CertificateStore | None, utc_s: float | None, tries: int = 0
) -> ssl.SSLContext:
    """Return the TLS settings for this way to the network. Raises ConnectError when a file of it cannot be read.

    ``utc_s``: the best known time, None when no clock was ever set. ``tries`` failed in a row: of several certificates
    of ours the newest goes first, but not for ever (white paper A02: the old one stays as a fallback).
    """
    own: Path | None = None
    roots: list[Path] = []
    if certificates is not None:
        roots = certificates.believed(tries)
        clients = certificates.usable_clients(utc_s) if way.security_profile == 3 else []
        own = clients[tries // TRIES_PER_CERTIFICATE % len(clients)].path if clients else None
        certificates.in_use = own
    if way.security_profile == 3 and own is None:
        raise ConnectError(
            "security profile 3 needs a valid certificate of the charge point, and there is none; have one signed",
            SecurityEvent.INVALID_CLIENT_CERTIFICATE,
        )
    try:
        return client_context(way.ca_file, roots, own, check_time=_system_clock_counts(utc_s))
    except TlsError as error:
        raise ConnectError(str(error)) from None


def _system_clock_counts(utc_s: float | None) -> bool:
    """Whether TLS may judge dates by the system's clock: not when it was never set, nor when we know better (a person
    or a network has told another time). ``dates_problem`` judges by ours in any case."""
    system_s = time.time()
    return system_s >= EARLIEST_PLAUSIBLE_UTC_S and (utc_s is None or abs(system_s - utc_s) <= CLOCKS_AGREE_S)


async def open_connection(
    way: NetworkProfile,
    subprotocols: Sequence[str],
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
    utc_s: float | None = None,
) -> ClientConnection:
    """Connect and agree on one of the sub-protocols within ``timeout_s``. Raises ConnectError.

    ``utc_s``: the best known time; the network's certificate must be valid then, whatever the system's clock says.
    """
    password = way.basic_password
    headers = {} if password is None else {"Authorization": basic_authorisation(way.identity, password)}
    try:
        connection = await connect(
            charge_point_url(way.address, way.identity),
            subprotocols=[Subprotocol(name) for name in subprotocols],
            additional_headers=headers,
            user_agent_header="evse-agent",
            compression=None,
            proxy=None,
            open_timeout=timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            logger=_WEBSOCKETS_LOGGER,
            # Without this a dead IPv6 route eats the whole time-out (RFC 8305).
            happy_eyeballs_delay=0.25,
            interleave=1,
            ssl=tls if way.secure else None,
        )
    except (OSError, TimeoutError, WebSocketException, EOFError, ValueError) as error:
        raise ConnectError(explain(error), _event_of(error)) from error
    link = connection.transport.get_extra_info("ssl_object")
    problem = "" if link is None or utc_s is None else dates_problem(link.getpeercert(), utc_s)
    if problem:
        abort(connection)
        raise ConnectError(problem, SecurityEvent.INVALID_SERVER_CERTIFICATE)
    if connection.subprotocol is None:
        # OCPP-J 1.6 §3.1.2: no agreed sub-protocol, no conversation.
        await connection.close(PROTOCOL_ERROR, "no OCPP sub-protocol agreed")
        offered = ", ".join(subprotocols)
        raise ConnectError(f"the network agreed on no sub-protocol (offered: {offered}); is the address one of OCPP-J?")
    return connection


def _event_of(error: BaseException) -> SecurityEvent | None:
    if isinstance(error, InvalidStatus):
        return SecurityEvent.FAILED_TO_AUTHENTICATE if error.response.status_code in (401, 403) else None
    return meaning(error)


def explain(error: BaseException) -> str:
    """Say in one line why a connection could not be opened, and what to look at."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        hint = {
            401: "check ocpp.identity and ocpp.password",
            403: "check ocpp.identity and ocpp.password",
            404: "the network does not know this identity, or the path of ocpp.url is wrong",
            429: "the network asks for fewer tries",
        }.get(status, "the network is not ready" if status >= 500 else "check ocpp.url")
        return f"the network refused the connection with HTTP status {status}; {hint}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the network's certificate was refused: {error.verify_message}; check ocpp.ca_file and the clock"
    if meaning(error) is SecurityEvent.INVALID_TLS_VERSION:
        return "the network speaks no TLS of version 1.2 or newer"
    if meaning(error) is SecurityEvent.INVALID_TLS_CIPHER:
        return "the network refused the TLS handshake: no cipher suite in common, or it wants a certificate of ours"
    if meaning(error) is SecurityEvent.FAILED_TO_AUTHENTICATE:
        return "the network refused the charge point's certificate"
    if isinstance(error, TimeoutError):
        return "the network did not answer within ocpp.connect_timeout_s"
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    """Whatever the other side wrote may end up in a log and on a console."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def describe_close(connection: ClientConnection) -> str:
    """Say how a connection ended, with code and reason as the network gave them."""
    code = connection.close_code
    if code is None or code == 1006:
        return "the connection broke without a closing handshake"
    reason = _one_line(connection.close_reason or "")
    who = "by the network" if connection.protocol.close_rcvd_then_sent else "by us"
    return f"closed {who} with code {code}" + (f" ({reason})" if reason else "")


async def keep_alive(
    connection: ClientConnection, interval_s: Callable[[], int], timeout_s: float, changed: asyncio.Event
) -> str:
    """Ping for ever and return, with the reason, once a pong is overdue: the link is half-open.

    ``interval_s`` is asked for before each ping (0: none; OCPP WebSocketPingInterval). ``changed`` is set when it may
    have changed.
    """
    while True:
        interval = interval_s()
        changed.clear()
        try:
            async with asyncio.timeout(interval if interval > 0 else None):
                await changed.wait()
            continue
        except TimeoutError:
            pass
        try:
            # Sending blocks too once the buffers of a dead link are full.
            async with asyncio.timeout(timeout_s):
                await (await connection.ping())
        except TimeoutError:
            return f"no pong within {timeout_s:g} s: the link is half-open"
        except ConnectionClosed:
            return describe_close(connection)


def abort(connection: ClientConnection) -> None:
    """Drop a connection at once, without waiting for a peer that may be gone."""
    connection.transport.abort()
