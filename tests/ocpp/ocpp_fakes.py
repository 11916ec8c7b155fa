"""A station and a journal that the tunnel's tests can look into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import Any

from agent.config.schema import Config, ConnectorType, Evse, Installation, Ocpp, Station
from agent.journal.events import (
    Context,
    Event,
    MeterSampled,
    SampledValue,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.history import TransactionSummary
from agent.ocpp.link_settings import from_file
from agent.ocpp.restart_port import BootReason
from agent.station.charging.plan import Composite
from agent.station.charging.profile import Profile, RateUnit
from agent.station.charging.store import Filter
from agent.station.commands import (
    AvailabilityAnswer,
    ConnectorStatus,
    FinalCost,
    PresentValues,
    RemoteStart,
    Reservation,
    ReservationAnswer,
    ResetKind,
    SettingAnswer,
    StatusReport,
    UnlockAnswer,
)
from agent.station.local_list import ListAnswer, ListUpdate
from agent.station.price_texts import PriceText
from agent.station.settings import SettingError, Settings
from agent.station.tariff import RunningCost
from agent.station.tokens import Token, TokenInfo

T0 = 1_790_000_000.0
"""2026-09-21."""


def as_in_file(settings: Settings, config: Config) -> Settings:
    """Give settings the values that options of the file have for them, as the application does."""
    for name, text in from_file(config.ocpp):
        settings.set(name, text)
    return settings


def config(url: str = "", *, evses: int = 1, cables: bool = False, **ocpp: Any) -> Config:
    kind = ConnectorType.CABLE if cables else ConnectorType.SOCKET
    settings: dict[str, Any] = {"back_off_minimum_s": 0.1, "back_off_random_s": 0.05, "back_off_repeats": 2}
    settings.update(ocpp)
    return Config(
        station=Station("Vendor", "Model", "SN-1"),
        installation=Installation(63.0),
        devices=MappingProxyType({}),
        evses=tuple(Evse(number + 1, "board", connector=kind) for number in range(evses)),
        ocpp=Ocpp(url=url, **settings),
    )


def started(transaction: str, token: str = "04A1B2C3", **more: Any) -> TransactionStarted:
    values: dict[str, Any] = {"evse": 1, "meter_wh": 1000.4, "trigger": StartTrigger.AUTHORIZED, "offline": False}
    return TransactionStarted(transaction, token=token, token_kind="ISO14443", **(values | more))


def sampled(transaction: str, *values: SampledValue) -> MeterSampled:
    return MeterSampled(
        transaction, 1, values or (SampledValue("Energy.Active.Import.Register", 1500.2, "Wh"),), offline=False
    )


def ended(transaction: str, **more: Any) -> TransactionEnded:
    values: dict[str, Any] = {"evse": 1, "meter_wh": 2000.6, "reason": StopReason.LOCAL, "offline": False}
    return TransactionEnded(transaction, **(values | more))


END_SAMPLE = SampledValue("Energy.Active.Import.Register", 2000.6, "Wh", context=Context.TRANSACTION_END)


@dataclass(frozen=True, slots=True)
class FakePending:
    seq: int
    event: Event
    utc_s: float
    message_id: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class FakeKey:
    seq: int
    is_start: bool
    transaction: str


class FakeJournal:
    """Keeps the contract of ``agent.journal.journal.Journal`` that delivery relies on, in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, FakePending] = {}
        self.done: list[int] = []
        self.parked: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.writes = 0
        self.broken: Exception | None = None
        self._next = 0

    def add(self, event: Event, utc_s: float = T0) -> int:
        self._next += 1
        self.rows[self._next] = FakePending(self._next, event, utc_s + self._next, f"message-{self._next}")
        return self._next

    def session(self, transaction: str) -> None:
        self.add(started(transaction))
        self.add(sampled(transaction))
        self.add(ended(transaction))

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        self._check()
        yield
        self.writes += 1

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def pending(self, limit: int = 1, after: int = 0) -> list[FakePending]:
        self._check()
        waiting = (row for seq, row in self.rows.items() if seq > after and seq not in self.parked)
        return list(islice(waiting, limit))

    def delivered(self, seq: int) -> None:
        self._check()
        self.parked.pop(seq, None)
        if self.rows.pop(seq, None) is not None:
            self.done.append(seq)

    def attempt_failed(self, seq: int, error: str) -> int:
        self._check()
        self.rows[seq] = replace(self.rows[seq], attempts=self.rows[seq].attempts + 1)
        return self.rows[seq].attempts

    def park(self, seq: int, reason: str) -> None:
        self._check()
        self.parked[seq] = reason

    def unpark(self, seq: int) -> int:
        self._check()
        if self.parked.pop(seq, None) is None:
            return 0
        self.rows[seq] = replace(self.rows[seq], attempts=0)
        return 1

    def parked_keys(self, limit: int = 100, after: int = 0) -> list[FakeKey]:
        self._check()
        keys = (self._key(seq) for seq in sorted(self.parked) if seq > after)
        return list(islice(keys, limit))

    def _key(self, seq: int) -> FakeKey:
        event = self.rows[seq].event
        return FakeKey(seq, isinstance(event, TransactionStarted), event.transaction)

    def held_transactions(self, reason: str) -> set[str]:
        keys = self.parked_keys(10**9)
        return {key.transaction for key in keys if key.is_start or self.parked[key.seq] == reason}

    def unpark_transaction(self, transaction: str) -> int:
        return sum(self.unpark(key.seq) for key in self.parked_keys(10**9) if key.transaction == transaction)

    def keep(self, table: str, key: str, value: Any | None) -> None:
        self._check()
        self.documents.setdefault(table, {})[key] = value
        if value is None:
            del self.documents[table][key]

    def kept(self, table: str) -> dict[str, Any]:
        self._check()
        return dict(self.documents.get(table, {}))

    def set_network_transaction(self, transaction: str, number: int) -> None:
        self._check()
        self.numbers[transaction] = number

    def network_transaction(self, transaction: str) -> int | None:
        self._check()
        return self.numbers.get(transaction)

    def summary(self, transaction: str) -> TransactionSummary | None:
        """No history here."""
        self._check()
        return None

    def newest(self) -> int:
        self._check()
        return self._next

    def waits(self, transaction: str) -> bool:
        self._check()
        return any(row.event.transaction == transaction or not transaction for row in self.pending(10**9))

    def transaction_of(self, number: int) -> str | None:
        self._check()
        return next((name for name, known in self.numbers.items() if known == number), None)


class FakeTransactions:
    """``agent.ocpp.transaction_port.TransactionPort``, with nothing open."""

    def speak(self, flexible: bool) -> None:
        self.flexible = flexible

    def open(self) -> dict[str, int]:
        return {}


class FakeAccess:
    """No reservation has ended."""

    def ended_reservations(self) -> dict[int, Any]:
        return {}


class FakeRestarts:
    reason = BootReason.POWER_UP

    def told(self) -> None:
        """Nothing is kept."""


class FakeCharging:
    """Smart charging without a profile, a limit from outside or a wish for priority."""

    def external(self) -> list[Any]:
        return []

    def pulls(self) -> dict[int, Any]:
        return {}

    def priorities(self) -> frozenset[str]:
        return frozenset()


class FakeTariffs:
    """No tariffs at all."""

    enabled = False

    def untold_tariff(self, transaction: str) -> str:
        return ""

    def final_cost(self, transaction: str) -> dict[str, Any] | None:
        return None

    def running_cost(self, transaction: str) -> dict[str, Any] | None:
        return None

    def delivered(self, transaction: str) -> None:
        return None


class FakeDisplay:
    """A display that nobody has told anything."""

    def prefer(self, token: Token, languages: Sequence[str]) -> None:
        return None

    def tell_price(self, transaction: str, text: PriceText) -> None:
        return None

    def tell_cost(self, transaction: str, cost: Decimal) -> None:
        return None


@dataclass
class FakeStation:
    """Answers as told and writes down what it was asked."""

    settings: Settings = field(default_factory=Settings)
    evses: int = 1
    log: list[tuple[Any, ...]] = field(default_factory=list)
    status: dict[int, ConnectorStatus] = field(default_factory=dict)
    answer: bool = True
    schedule: Composite | None = None
    public_keys: dict[int, str] = field(default_factory=dict)
    pins: list[tuple[str, str]] = field(default_factory=list)
    transactions: FakeTransactions = field(default_factory=FakeTransactions)
    charging: FakeCharging = field(default_factory=FakeCharging)
    restarts: FakeRestarts = field(default_factory=FakeRestarts)
    access: FakeAccess = field(default_factory=FakeAccess)
    display: FakeDisplay = field(default_factory=FakeDisplay)
    tariffs: FakeTariffs = field(default_factory=FakeTariffs)
    on: Mapping[str, Any] = field(default_factory=dict)
    """Called when a method of this name is: its argument is the station."""

    def _note(self, name: str, *arguments: Any) -> None:
        self.log.append((name, *arguments))
        action = self.on.get(name)
        if action is not None:
            action()

    def told(self, name: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.log if entry[0] == name]

    def local_list_version(self) -> int:
        self._note("local_list_version")
        return 0

    def update_local_list(self, update: ListUpdate) -> ListAnswer:
        self._note("update_local_list", update)
        return ListAnswer.ACCEPTED if self.answer else ListAnswer.FAILED

    def reserve(self, reservation: Reservation) -> ReservationAnswer:
        self._note("reserve", reservation)
        return ReservationAnswer.ACCEPTED if self.answer else ReservationAnswer.REJECTED

    def cancel_reservation(self, number: int) -> bool:
        self._note("cancel_reservation", number)
        return self.answer

    def set_service_pin(self, role: str, stored: str) -> str:
        self.pins.append((role, stored))
        return "" if role in ("service", "operate") else "role must be 'service' or 'operate'"

    def meter_public_key(self, evse: int) -> str:
        return self.public_keys.get(evse, "")

    def present_values(self) -> list[PresentValues]:
        self._note("present_values")
        return []

    def token_told(self, token: Token, info: TokenInfo) -> None:
        self._note("token_told", token, info)

    def remote_start(self, request: RemoteStart) -> bool:
        self._note("remote_start", request)
        return self.answer

    def remote_stop(self, transaction: str) -> bool:
        self._note("remote_stop", transaction)
        return self.answer

    async def unlock(self, evse: int) -> UnlockAnswer:
        self._note("unlock", evse)
        return UnlockAnswer.UNLOCKED

    def change_availability(self, evse: int, operative: bool) -> AvailabilityAnswer:
        self._note("change_availability", evse, operative)
        return AvailabilityAnswer.SCHEDULED

    def reset(self, kind: ResetKind) -> bool:
        self._note("reset", kind)
        return self.answer

    def clear_cache(self) -> bool:
        self._note("clear_cache")
        return self.answer

    def set_charging_profile(self, evse: int, profile: Profile) -> bool:
        self._note("set_charging_profile", evse, profile)
        return self.answer

    def clear_charging_profiles(self, which: Filter) -> bool:
        self._note("clear_charging_profiles", which)
        return self.answer

    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None) -> Composite | None:
        self._note("composite_schedule", evse, duration_s, unit)
        return self.schedule

    def set_user_price(self, token: Token, text: PriceText) -> bool:
        self._note("set_user_price", token, text)
        return self.answer

    def running_cost(self, transaction: str, told: RunningCost) -> bool:
        self._note("running_cost", transaction, told)
        return self.answer

    def final_cost(self, transaction: str, final: FinalCost) -> bool:
        self._note("final_cost", transaction, final)
        return self.answer

    def set_setting(self, name: str, text: str) -> SettingAnswer:
        self._note("set_setting", name, text)
        try:
            self.settings.set(name, text)
        except SettingError:
            return SettingAnswer.REJECTED
        return SettingAnswer.ACCEPTED

    def report(self, evse: int) -> StatusReport:
        status = self.status.get(evse, ConnectorStatus.AVAILABLE)
        return StatusReport(evse, status, "NoError", "", "", T0)

    def statuses(self) -> list[StatusReport]:
        return [self.report(evse) for evse in range(self.evses + 1)]

    def uplink_changed(self, online: bool) -> None:
        self._note("uplink_changed", online)

    def authorisation_answered(self, request: int, info: TokenInfo | None) -> None:
        self._note("authorisation_answered", request, info)

    def start_answered(self, transaction: str, info: TokenInfo) -> None:
        self._note("start_answered", transaction, info)

    def network_time(self, utc_s: float, took_s: float = 0.0) -> None:
        self._note("network_time", utc_s)
