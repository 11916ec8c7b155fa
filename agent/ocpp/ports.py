"""Where the tunnel meets the rest of the agent: what it may ask of the station, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from agent.journal.events import Event
from agent.journal.history import TransactionSummary
from agent.ocpp.access_port import AccessPort
from agent.ocpp.charging_port import ChargingPort
from agent.ocpp.display_port import DisplayPort
from agent.ocpp.restart_port import RestartPort
from agent.ocpp.tariff_port import TariffPort
from agent.ocpp.transaction_port import TransactionPort
from agent.station.charging.plan import Composite
from agent.station.charging.profile import Profile, RateUnit
from agent.station.charging.store import Filter
from agent.station.commands import (
    AvailabilityAnswer,
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
from agent.station.tariff import RunningCost
from agent.station.tokens import Token, TokenInfo


class UplinkState(Enum):
    NOT_CONFIGURED = "not_configured"
    OFFLINE_BY_COMMAND = "offline_by_command"
    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    BOOTING = "booting"
    PENDING = "pending"
    REJECTED = "rejected"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class UplinkReport:
    """How the tunnel does, for the local API."""

    state: UplinkState
    since_utc_s: float
    last_error: str = ""
    url: str = ""
    """Of the network in use, which need not be the configured one (``agent.ocpp.networks``)."""


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """A vendor's own message to the network."""

    vendor: str
    message: str = ""
    data: str = ""


TransferAnswer = tuple[str, str]
"""Status (Accepted, Rejected, UnknownVendorId, UnknownMessageId) and data of the answer."""


class StationPort(Protocol):
    """The station as the tunnel sees it. Every call is carried out (and durable where it must be) on return."""

    def remote_start(self, request: RemoteStart) -> bool: ...

    def remote_stop(self, transaction: str) -> bool:
        """Stop the transaction of this identity (not the network's number). False when none such runs."""

    async def unlock(self, evse: int) -> UnlockAnswer:
        """End the EVSE's transaction, if any, and release the plug."""

    def change_availability(self, evse: int, operative: bool) -> AvailabilityAnswer:
        """``evse`` 0: all of them."""

    def reset(self, kind: ResetKind) -> bool: ...

    def clear_cache(self) -> bool: ...

    def set_charging_profile(self, evse: int, profile: Profile) -> bool:
        """Install a charging profile (``evse`` 0: of the station, or default of all). False: it breaks a rule."""

    def clear_charging_profiles(self, which: Filter) -> bool:
        """False when none matched."""

    @property
    def transactions(self) -> TransactionPort:
        """What is open, and what the network says about it."""

    @property
    def restarts(self) -> RestartPort:
        """Why the agent has started."""

    @property
    def charging(self) -> ChargingPort:
        """Smart charging as OCPP 2 asks for it."""

    @property
    def display(self) -> DisplayPort:
        """What the driver is shown, as OCPP 2 tells it."""

    @property
    def tariffs(self) -> TariffPort:
        """Tariffs, and costs that are reckoned here (OCPP 2.1)."""

    @property
    def access(self) -> AccessPort:
        """Who may charge here and where, as OCPP 2 asks for it."""

    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None) -> Composite | None:
        """What an EVSE, or (0) the station, may draw from now on; None for no such EVSE or time."""

    def local_list_version(self) -> int:
        """0: it is empty; -1: none is used."""

    def update_local_list(self, update: ListUpdate) -> ListAnswer: ...

    def reserve(self, reservation: Reservation) -> ReservationAnswer: ...

    def cancel_reservation(self, number: int) -> bool:
        """False when there is none of this number."""

    def present_values(self) -> list[PresentValues]:
        """What the meters say now, by EVSE; silent ones are left out."""

    def set_service_pin(self, role: str, stored: str) -> str:
        """Store a PIN's hash for a role of the service port. Return why it is refused; empty when it is not."""

    def meter_public_key(self, evse: int) -> str:
        """Key that the EVSE's meter signs with, in hexadecimal DER; empty where it does not sign."""

    def set_user_price(self, token: Token, text: PriceText) -> bool:
        """What this driver will pay, in words. False while prices are switched off."""

    def running_cost(self, transaction: str, told: RunningCost) -> bool:
        """False when no transaction of this identity is here."""

    def final_cost(self, transaction: str, final: FinalCost) -> bool:
        """False when no transaction of this identity was here last."""

    def set_setting(self, name: str, text: str) -> SettingAnswer:
        """Check, persist and apply a setting of ``agent.station.settings``."""

    def statuses(self) -> list[StatusReport]:
        """Return the current state of the station (EVSE 0) and of each EVSE, in order of number."""

    def uplink_changed(self, online: bool) -> None:
        """True once a boot was accepted on the present connection; False when it is lost."""

    def authorisation_answered(self, request: int, info: TokenInfo | None) -> None:
        """None: the network gave no answer (refused, timed out or lost); offline rules apply."""

    def start_answered(self, transaction: str, info: TokenInfo) -> None:
        """What the network said of the token when it took note of the start."""

    def token_told(self, token: Token, info: TokenInfo) -> None:
        """The network has told of a token without being asked about it (in its answer to the end of a transaction)."""

    def network_time(self, utc_s: float, took_s: float = 0.0) -> None:
        """The network's clock, in seconds since 1970, read at some time in the last ``took_s`` seconds."""


class PendingRecord(Protocol):
    """A record of the journal that waits for delivery."""

    @property
    def seq(self) -> int: ...
    @property
    def event(self) -> Event: ...
    @property
    def utc_s(self) -> float:
        """When it happened, as well as is known by now."""

    @property
    def message_id(self) -> str:
        """The same on each try."""


class ParkedKey(Protocol):
    """What a parked record belongs to."""

    @property
    def seq(self) -> int: ...
    @property
    def is_start(self) -> bool: ...
    @property
    def transaction(self) -> str: ...


class JournalPort(Protocol):
    """The journal as the tunnel sees it. Anything may raise when the disk fails."""

    def write(self) -> AbstractContextManager[None]: ...
    def pending(self, limit: int = 1, after: int = 0) -> Sequence[PendingRecord]: ...
    def delivered(self, seq: int) -> None: ...
    def attempt_failed(self, seq: int, error: str) -> int: ...
    def park(self, seq: int, reason: str) -> None: ...
    def unpark(self, seq: int) -> int: ...
    def parked_keys(self, limit: int = 100, after: int = 0) -> Sequence[ParkedKey]: ...
    def held_transactions(self, reason: str) -> set[str]: ...
    def unpark_transaction(self, transaction: str) -> int: ...
    def keep(self, table: str, key: str, value: Any | None) -> None: ...
    def kept(self, table: str) -> dict[str, Any]: ...
    def set_network_transaction(self, transaction: str, number: int) -> None: ...
    def network_transaction(self, transaction: str) -> int | None: ...
    def summary(self, transaction: str) -> TransactionSummary | None: ...
    def transaction_of(self, number: int) -> str | None: ...
    def newest(self) -> int:
        """Number of the newest record; 0 before there was any."""

    def waits(self, transaction: str) -> bool:
        """Tell whether records wait for delivery, of this transaction or (empty) of any. Parked ones do not."""
