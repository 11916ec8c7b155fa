"""The local API's methods about what the network has told this charge point (tokens, profiles, reservations), what
follows from it (schedules), and one transaction in full."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypedDict

from agent.journal.errors import JournalError
from agent.journal.history import TransactionSummary
from agent.journal.undelivered import Undelivered
from agent.local.books import MOST, record, summary
from agent.local.methods import Method, observe
from agent.local.rpc import RpcError
from agent.station.charging.plan import Composite
from agent.station.documents import moment
from agent.station.settings import Settings
from agent.station.tokens import Token, info_of, status_at

MOST_RECORDS = 2000
LONGEST_S = 7 * 86_400


class TokensDocument(TypedDict):
    list_used: bool
    list_version: int
    list_size: int
    cache_used: bool
    cache_size: int


class TokenDocument(TypedDict):
    """What is known here of one token, without asking the network."""

    token: str
    """Shortened."""
    source: str
    """'list', 'cache', or empty: not known here."""
    status: str
    expires_at: str | None
    group: bool
    """It belongs to a group."""


class ProfilePeriod(TypedDict):
    start_s: int
    limit: float
    phases: int | None


class ProfileDocument(TypedDict):
    id: int
    evse: int
    """0: the station, or all EVSEs."""
    purpose: str
    kind: str
    stack_level: int
    unit: str
    valid_from: str | None
    valid_to: str | None
    starts_at: str | None
    transaction: str
    periods: list[ProfilePeriod]


class ScheduleDocument(TypedDict):
    """What an EVSE (0: all together) may draw from now on."""

    evse: int
    starts_at: str | None
    duration_s: int
    unit: str
    """'A' per phase, or 'W' of all phases."""
    periods: list[ProfilePeriod]


class ReservationDocument(TypedDict):
    id: int
    evse: int
    """0: any one of them."""
    token: str
    """Shortened."""
    group: bool
    expires_at: str | None


class StoredTokens(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def size(self) -> int: ...
    def get(self, key: str) -> Any: ...


class Journal(Protocol):
    """What the methods need of the journal."""

    @property
    def local_list(self) -> StoredTokens: ...
    def kept(self, table: str) -> dict[str, Any]: ...
    def kept_one(self, table: str, key: str) -> Any | None: ...
    def transactions(self, limit: int = 100) -> list[TransactionSummary]: ...
    def undelivered(self, limit: int = 100, after: int = 0) -> list[Undelivered]: ...


def methods(
    journal: Journal,
    settings: Settings,
    utc_s: Callable[[], float],
    composite: Callable[[int, int], Composite | None],
) -> dict[str, Method]:
    """``composite(evse, duration_s)`` gives what may be drawn, None for no such EVSE."""

    def tokens() -> TokensDocument:
        """How many tokens are known without asking the network."""
        stored = _asked(lambda: journal.local_list)
        return {
            "list_used": settings.boolean("LocalAuthListCtrlr.Enabled"),
            "list_version": stored.version,
            "list_size": stored.size,
            "cache_used": settings.boolean("AuthCacheCtrlr.Enabled"),
            "cache_size": len(_asked(lambda: journal.kept("token"))),
        }

    def token(token: str) -> TokenDocument:
        """What list and cache say of one token. Nothing is asked of the network."""
        one = Token(token.strip()[:64])
        source, info = "list", info_of(_asked(lambda: journal.local_list.get(one.key)))
        if info is None:
            source, info = "cache", info_of(_asked(lambda: journal.kept_one("token", one.key)))
        if info is None:
            return {"token": one.masked, "source": "", "status": "", "expires_at": None, "group": False}
        return {
            "token": one.masked,
            "source": source,
            "status": status_at(info, utc_s()).value,
            "expires_at": moment(info.expires_utc_s),
            "group": bool(info.group),
        }

    def profiles() -> list[ProfileDocument]:
        """The charging profiles that are installed."""
        kept = _asked(lambda: journal.kept("charging_profile"))
        found = [_profile(values) for values in kept.values()]
        return sorted((one for one in found if one is not None), key=lambda one: (one["evse"], one["id"]))

    def schedule(evse: int = 0, hours: float = 24.0) -> ScheduleDocument:
        """What an EVSE (0: all together) may draw from now on, all profiles and limits taken together."""
        if not 0 < hours * 3600 <= LONGEST_S:
            raise RpcError(f"hours must be above 0, and at most {LONGEST_S // 3600}")
        found = composite(evse, int(hours * 3600))
        if found is None:
            raise RpcError(f"there is no EVSE {evse}")
        return {
            "evse": evse,
            "starts_at": moment(found.start_utc_s),
            "duration_s": found.duration_s,
            "unit": found.unit.value,
            "periods": [
                {"start_s": each.start_s, "limit": round(each.limit, 2), "phases": each.phases}
                for each in found.periods
            ],
        }

    def reservations() -> list[ReservationDocument]:
        """Who has reserved what."""
        found: list[ReservationDocument] = []
        for values in _asked(lambda: journal.kept("reservation")).values():
            try:
                found.append(
                    {
                        "id": int(values["id"]),
                        "evse": int(values["evse"]),
                        "token": Token(**values["token"]).masked,
                        "group": bool(values.get("group")),
                        "expires_at": moment(float(values["expires_utc_s"])),
                    }
                )
            except (KeyError, TypeError, ValueError):
                continue
        return sorted(found, key=lambda one: one["id"])

    def show(id: str) -> dict[str, Any]:  # noqa: A002 (the parameter's name in the API)
        """One transaction, by its identity or an unambiguous beginning of it, with its records that the network has
        not got."""
        known = [one for one in _asked(lambda: journal.transactions(MOST)) if one.transaction.startswith(id)]
        exact = [one for one in known if one.transaction == id]
        if len(exact or known) != 1 or not id:
            raise RpcError(f"{len(known)} transactions begin with {id[:40]!r}; 'transactions' lists them")
        one = (exact or known)[0]
        records: list[Undelivered] = []
        after = seen = 0
        while seen < MOST_RECORDS and (page := _asked(partial(journal.undelivered, MOST, after))):
            records += [each for each in page if each.transaction == one.transaction]
            seen, after = seen + len(page), page[-1].seq
        token = Token(one.token).masked if one.token else ""
        return {**summary(one, records), "token": token, "undelivered": [record(each) for each in records]}

    return {
        "tokens.state": observe(tokens),
        "tokens.find": observe(token),
        "profiles.list": observe(profiles),
        "schedule.show": observe(schedule),
        "reservations.list": observe(reservations),
        "transactions.show": observe(show),
    }


def _profile(values: Any) -> ProfileDocument | None:
    try:
        one = values["profile"]
        return {
            "id": int(one["id"]),
            "evse": int(values["evse"]),
            "purpose": str(one["purpose"]),
            "kind": str(one["kind"]),
            "stack_level": int(one["stack_level"]),
            "unit": str(one["unit"]),
            "valid_from": moment(one["valid_from_s"]),
            "valid_to": moment(one["valid_to_s"]),
            "starts_at": moment(one["start_utc_s"]),
            "transaction": str(one["transaction"]),
            "periods": [
                {"start_s": int(start), "limit": float(limit), "phases": phases}
                for start, limit, phases in one["periods"]
            ],
        }
    except (KeyError, TypeError, ValueError):
        return None


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except JournalError as error:
        raise RpcError(str(error)) from error
