"""The local API's methods about the tunnel to the operator's network: how it does, in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict

from agent.journal.errors import JournalError
from agent.journal.undelivered import Undelivered
from agent.local.methods import Method, observe
from agent.local.rpc import RpcError
from agent.ocpp.ports import UplinkReport
from agent.station.documents import moment

MOST_COUNTED = 2000
"""Records that are counted by kind; what is beyond is told as a sum."""
_PAGE = 500


class CallDocument(TypedDict):
    """One of the last calls."""

    action: str
    took_s: float
    refused: bool


class QueueDocument(TypedDict):
    kind: str
    """As the journal names them: 'started', 'sampled', 'ended', …"""
    waiting: int
    oldest_at: str | None


class NetworkDocument(TypedDict):
    """One way to a network."""

    url: str
    identity: str
    security_profile: int
    in_use: bool


class UplinkDocument(TypedDict):
    state: str
    since: str | None
    last_error: str
    remedy: str
    """What to do about the last error, or about the state."""
    calls: list[CallDocument]
    """The last ones that were answered, oldest first."""
    queue: list[QueueDocument]
    queue_more: int
    """Records beyond those counted by kind."""
    set_aside: int
    """Records that the network has refused ('transactions.retry')."""
    networks: list[NetworkDocument]
    trial: NotRequired[str]
    """A change of network or credentials that is being tried."""


_REMEDIES = {
    "not_configured": "give the network's address: config set ocpp.url wss://…",
    "offline_by_command": "'ocpp online' lets it connect again",
    "pending": "the network has not accepted this charge point yet; ask its operator",
    "rejected": "the network refuses this identity; ask its operator whether it is registered there",
}
_BY_WORDS = (
    ("401", "check ocpp.identity and ocpp.password"),
    ("403", "check ocpp.identity and ocpp.password"),
    ("404", "check the path of ocpp.url and ocpp.identity"),
    ("certificate", "'network' says which certificate and why"),
    ("half-open", "the link swallows data; see to signal and router"),
    ("gaierror", "the name cannot be found; 'network' says where it ends"),
    ("refused", "nothing listens there; check port and host in ocpp.url"),
    ("sub-protocol", "check the path of ocpp.url"),
)


def remedy(state: str, last_error: str) -> str:
    """Return what to do, in words; empty while all is well."""
    if state in _REMEDIES:
        return _REMEDIES[state]
    if not last_error:
        return ""
    words = last_error.lower()
    return next((text for mark, text in _BY_WORDS if mark in words), "'network' looks at the way step by step")


def methods(
    report: Callable[[], UplinkReport],
    calls: Callable[[], Sequence[CallDocument]],
    undelivered: Callable[[int, int], list[Undelivered]],
    figures: Callable[[], Any],
    networks: Callable[[], tuple[Sequence[NetworkDocument], str]],
) -> dict[str, Method]:
    def state() -> UplinkDocument:
        """How the tunnel does: since when, the last error, how long the network takes, and what waits for it."""
        now = report()
        queue, more, parked = _queue(undelivered, figures)
        ways, trial = networks()
        document: UplinkDocument = {
            "state": now.state.value,
            "since": moment(now.since_utc_s),
            "last_error": now.last_error,
            "remedy": remedy(now.state.value, now.last_error),
            "calls": list(calls()),
            "queue": queue,
            "queue_more": more,
            "set_aside": parked,
            "networks": list(ways),
        }
        if trial:
            document["trial"] = trial
        return document

    return {"uplink.state": observe(state)}


def _queue(
    undelivered: Callable[[int, int], list[Undelivered]], figures: Callable[[], Any]
) -> tuple[list[QueueDocument], int, int]:
    counted: Counter[str] = Counter()
    oldest: dict[str, float | None] = {}
    after = seen = 0
    try:
        whole = figures()
        while seen < MOST_COUNTED and (page := undelivered(_PAGE, after)):
            for one in page:
                counted[one.kind] += not one.parked
                oldest.setdefault(one.kind, one.utc_s)
            seen, after = seen + len(page), page[-1].seq
    except JournalError as error:
        raise RpcError(str(error)) from error
    queue: list[QueueDocument] = [
        {"kind": kind, "waiting": count, "oldest_at": moment(oldest[kind])} for kind, count in counted.items() if count
    ]
    return queue, max(0, whole.pending - sum(counted.values())), whole.parked
