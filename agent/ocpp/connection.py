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
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from agent.config.schema import Ocpp
from agent.ocpp.frames import MAX_FRAME_BYTES

LOGGER = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0

GOING_AWAY = 1001
PROTOCOL_ERROR = 1002

_WEBSOCKETS_LOGGER = logging.getLogger("agent.ocpp.websockets")
# Its debug lines hold whole frames and the Authorization header.
_WEBSOCKETS_LOGGER.setLevel(logging.WARNING)


class ConnectError(Exception):
    """The network could not be reached, or not as configured. The text says what to look at."""


def charge_point_url(url: str, identity: str) -> str:
    """Add the identity to the network's address, percent-encoded (OCPP-J 1.6 §3.1.1). A query stays at the end."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + "/" + quote(identity, safe="")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def basic_authorisation(identity: str, password: str) -> str:
    """Return the value of the Authorization header (security profiles 1 and 2)."""
    return "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode("ascii")


def tls_context(ocpp: Ocpp) -> ssl.SSLContext:
    """Return the TLS settings for a wss:// address. Raises ConnectError when the root certificates cannot be read."""
    try:
        context = ssl.create_default_context(cafile=None if ocpp.ca_file is None else str(ocpp.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConnectError(
            f"ocpp.ca_file {ocpp.ca_file}: cannot be read ({error}); put PEM certificates there"
        ) from None
    # OCPP security white paper A00.FR.312
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def open_connection(ocpp: Ocpp, identity: str, subprotocols: Sequence[str]) -> ClientConnection:
    """Connect and agree on one of the sub-protocols, within ``ocpp.connect_timeout_s``. Raises ConnectError."""
    url = charge_point_url(ocpp.url, identity)
    headers = {"Authorization": basic_authorisation(identity, ocpp.password)} if ocpp.password else {}
    secure = ocpp.url.startswith("wss://")
    try:
        connection = await connect(
            url,
            subprotocols=[Subprotocol(name) for name in subprotocols],
            additional_headers=headers,
            user_agent_header="evse-agent",
            compression=None,
            proxy=None,
            open_timeout=ocpp.connect_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            logger=_WEBSOCKETS_LOGGER,
            # Without this a dead IPv6 route eats the whole time-out (RFC 8305).
            happy_eyeballs_delay=0.25,
            interleave=1,
            ssl=tls_context(ocpp) if secure else None,
        )
    except (OSError, TimeoutError, WebSocketException, EOFError, ValueError) as error:
        raise ConnectError(explain(error)) from error
    if connection.subprotocol is None:
        # OCPP-J 1.6 §3.1.2: no agreed sub-protocol, no conversation.
        await connection.close(PROTOCOL_ERROR, "no OCPP sub-protocol agreed")
        offered = ", ".join(subprotocols)
        raise ConnectError(f"the network agreed on no sub-protocol (offered: {offered}); is the address one of OCPP-J?")
    return connection


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
