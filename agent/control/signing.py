"""Meters that sign, between their drivers and the agent. A signed set is told until the agent says that it keeps it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from agent.control.device_state import Source, guarded
from agent.link import messages as m
from agent.link.signing import BeginSigning, EndSigning, MeterClock, SignedKept, SignedSet, SigningReport, SignReading
from hal.values import SignedReading, SigningSession, SigningState

log = logging.getLogger("evse-control")

RETELL_S = 5.0
"""Between two tellings of a set that the agent has not confirmed."""
MOST_DATA = m.MAX_MESSAGE_BYTES - 1200
"""Bytes of a set as JSON text that a message of the link holds beside its other fields."""

Request = BeginSigning | SignReading | EndSigning | SignedKept | MeterClock
REQUESTS = (BeginSigning, SignReading, EndSigning, SignedKept, MeterClock)


class SigningDesk:
    """``meters``: the EVSEs whose meter signs."""

    def __init__(self, meters: Mapping[int, Source]) -> None:
        self._meters = meters
        self._told: dict[int, SigningReport] = {}
        self._told_sets: dict[tuple[int, str], float] = {}

    @property
    def evses(self) -> frozenset[int]:
        return frozenset(self._meters)

    def forget(self) -> None:
        """A new agent: everything is told again."""
        self._told.clear()
        self._told_sets.clear()

    def take(self, request: Request, now: float) -> str:
        """Do what the agent asks. Return why not, or nothing."""
        source = self._meters.get(request.evse)
        if source is None:
            return "its meter does not sign"
        unit = source.unit
        match request:
            case BeginSigning(_, transaction, identified, level, flags, id_type, id_data, point):
                session = SigningSession(transaction, identified, level, flags, id_type, id_data, point)
                guarded(source.device, lambda: unit.begin_signing(session, now), now)
            case SignReading():
                guarded(source.device, lambda: unit.sign_reading(now), now)
            case EndSigning(_, transaction):
                guarded(source.device, lambda: unit.end_signing(transaction, now), now)
            case SignedKept(evse, key):
                self._told_sets.pop((evse, key), None)
                guarded(source.device, lambda: unit.release_signed(key, now), now)
            case MeterClock(_, utc_s, at, offset_min):
                guarded(source.device, lambda: unit.set_clock(utc_s + now - at, offset_min, now), now)
        return ""

    def tell(self, send: Callable[[m.ToAgent], None], now: float) -> None:
        """Tell what is new, and again what was not confirmed."""
        for evse, source in self._meters.items():
            if source.device.failure:
                continue
            state: SigningState | None = guarded(source.device, source.unit.signing, now)
            if state is not None:
                self._tell_state(evse, state, send)
            held: tuple[SignedReading, ...] = guarded(source.device, source.unit.signed, now) or ()
            for reading in held:
                if now - self._told_sets.get((evse, reading.key), float("-inf")) >= RETELL_S:
                    self._told_sets[evse, reading.key] = now
                    self._tell_set(evse, reading, send)

    def _tell_state(self, evse: int, state: SigningState, send: Callable[[m.ToAgent], None]) -> None:
        told = self._told.get(evse)
        report = SigningReport(
            evse,
            state.at if told is None else told.at,
            state.ready,
            state.separate,
            state.public_key,
            state.transaction,
            state.failed,
            state.trouble,
        )
        if report == told:
            return
        if state.trouble and (told is None or told.trouble != state.trouble):
            log.warning("EVSE %d: %s", evse, state.trouble)
        self._told[evse] = report
        send(report)

    def _tell_set(self, evse: int, reading: SignedReading, send: Callable[[m.ToAgent], None]) -> None:
        if len(json.dumps(reading.data)) > MOST_DATA:
            log.error("EVSE %d: a signed set of %d bytes is too long to be told", evse, len(reading.data))
            return
        send(
            SignedSet(
                evse,
                reading.at,
                reading.key,
                reading.transaction,
                reading.moment.value,
                reading.data,
                reading.encoding,
                reading.signing_method,
                reading.public_key,
            )
        )
