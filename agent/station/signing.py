"""Signed meter values: which transactions are to be signed, and what becomes of the sets that the meter hands out.

Nothing here holds a charge up: energy flows whether the meter signs or not. Only the end of a transaction waits, for
``SIGN_WAIT_S`` at most, because the end message is where the network looks for the set (OCA, Signed Meter Values in
OCPP, 3.1.4). What comes later is told all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.journal.events import Context, MeterSigned, SignedValue, Stamp, StartTrigger
from agent.link.signing import BeginSigning, EndSigning, MeterClock, SignedKept, SignedSet, SigningReport, SignReading
from agent.station.evse import Evse
from agent.station.session import Phase, Session
from agent.station.site import Site
from agent.station.wall_clock import offset_s

log = logging.getLogger(__name__)

SIGN_WAIT_S = 30.0
"""Some meters need so long (OCA, 2.3.1)."""
CLOCK_S = 3600.0
"""Between two settings of a meter's clock."""
MOST_BYTES = 2500 // 4 * 3
"""Of a set that a network need take: 2500 characters of base64 (OCA, 3.2.1). A longer one goes in a message of its own,
so that a network which refuses it has not refused the end of the transaction."""
KEYS = 16
"""Sets that are known again when they are told twice."""
REGISTER = "Energy.Active.Import.Register"
SWITCHES = (
    "SampledDataCtrlr.SignReadings",
    "AlignedDataCtrlr.SignReadings",
    "SampledDataCtrlr.SignStartedReadings",
    "SampledDataCtrlr.SignUpdatedReadings",
    "AlignedDataCtrlr.SignUpdatedReadings",
)
"""Settings that make a meter sign."""
_ID_TYPES = {"ISO14443": "ISO14443", "ISO15693": "ISO15693", "NoAuthorization": "NONE", "Central": "CENTRAL"}


class Signing:
    """``kept``: the journal's documents, for the sets and public keys known from before."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._reports: dict[int, SigningReport] = {}
        self._begun: dict[int, str] = {}
        self._ended: dict[int, str] = {}
        self._asked: dict[int, tuple[Context, Stamp]] = {}
        self._clock_told: dict[int, tuple[float, float, int]] = {}
        """By EVSE: when, and which offsets it was told."""
        documents = kept.get("station", {})
        self._keys: dict[int, list[str]] = {}
        self._public_keys: dict[int, str] = {}
        for number in site.evses:
            keys, key = documents.get(f"signed:{number}"), documents.get(f"meter key:{number}")
            self._keys[number] = [str(each) for each in keys] if isinstance(keys, list) else []
            self._public_keys[number] = key if isinstance(key, str) else ""

    # ---- what is known -------------------------------------------------------------------------------------------

    def public_key(self, evse: int) -> str:
        """Key of the meter in hexadecimal DER, also while it is silent; empty for one that does not sign."""
        return self._public_keys.get(evse, "")

    def objection(self, name: str, text: str) -> str:
        """Say why a setting would change nothing here; empty when it would."""
        if name not in SWITCHES or text.strip().lower() != "true":
            return ""
        if not any(evse.info is not None and evse.info.signs for evse in self._site.evses.values()):
            return "no meter here signs"
        if name.endswith("SignReadings") or any(report.separate for report in self._reports.values()):
            return ""
        return "the meters here sign begin and end in one set, and nothing between"

    def forget(self) -> None:
        """Control is new, or back: every wish is told again."""
        self._reports.clear()
        self._begun.clear()
        self._ended.clear()
        self._clock_told.clear()

    # ---- what control tells --------------------------------------------------------------------------------------

    def reported(self, report: SigningReport) -> None:
        evse = self._site.evses.get(report.evse)
        if evse is None:
            return
        before = self._reports.get(evse.id)
        self._reports[evse.id] = report
        if report.trouble and (before is None or before.trouble != report.trouble):
            log.warning("EVSE %d: %s", evse.id, report.trouble)
        known = self._public_keys[evse.id]
        if report.public_key and report.public_key != known:
            if known:
                log.warning("EVSE %d: the meter signs with another key than before: was it replaced?", evse.id)
            self._public_keys[evse.id] = report.public_key
            self._site.keep("station", f"meter key:{evse.id}", report.public_key)

    def handed(self, signed: SignedSet) -> None:
        """A set came. It is on the books, in the session's document or as an event, before control hears of it."""
        site, evse = self._site, self._site.evses.get(signed.evse)
        if evse is None:
            return
        keys = self._keys[evse.id]
        if signed.key not in keys:
            self._keys[evse.id] = [*keys, signed.key][-KEYS:]
            site.keep("station", f"signed:{evse.id}", self._keys[evse.id])
            self._take(evse, signed)
        site.send(SignedKept(evse.id, signed.key))

    def _take(self, evse: Evse, signed: SignedSet) -> None:
        value = SignedValue(
            Context.TRANSACTION_END, signed.data, signed.encoding, signed.signing_method, signed.public_key
        )
        if not signed.transaction:
            log.warning("EVSE %d: a signed set that names no transaction is let go: %s", evse.id, signed.data)
            return
        session = evse.session
        if session is None or session.transaction != signed.transaction or not evse.in_transaction:
            log.warning("EVSE %d: the end of transaction %s was signed late", evse.id, signed.transaction)
            if self._key_mode() == "Never":
                value = replace(value, public_key="")
            site = self._site
            late = MeterSigned(signed.transaction, evse.id, (value,), not site.online, late=site.flexible)
            site.record(late)
            return
        assert session.started is not None
        if signed.moment == "begin":
            wh = session.start_wh if session.stop_points else None  # OCPP 2.x tells the register beside what is signed
            value = replace(value, context=Context.TRANSACTION_BEGIN, wh=wh)
            if self._on("SampledDataCtrlr.SignStartedReadings") and self._members("TxStartedMeasurands"):
                self._record(evse, session, value, session.started)
            session.signed.append((session.started.utc_s, value))
        elif signed.moment == "update":
            context, stamp = self._asked.pop(evse.id, (Context.SAMPLE_PERIODIC, self._site.moment.stamp(signed.at)))
            wh = session.register_wh if session.stop_points else None
            self._record(evse, session, replace(value, context=context, wh=wh), stamp)
        else:
            if session.phase is not Phase.STOPPING:  # the meter lost its supply and ended by itself; it begins anew
                value = replace(value, context=Context.INTERRUPTION_BEGIN)
                self._begun.pop(evse.id, None)
            session.signed.append((self._site.moment.utc_s, value))

    # ---- what a transaction asks ---------------------------------------------------------------------------------

    def begin(self, evse: Evse, session: Session) -> None:
        """A transaction begins: decide once whether it is signed."""
        wanted = self._on("SampledDataCtrlr.SignReadings") or self._on("AlignedDataCtrlr.SignReadings")
        session.signing = wanted and evse.info is not None and evse.info.signs

    def sample(self, evse: Evse, session: Session, context: Context, stamp: Stamp) -> None:
        """A sample with the register was taken: have it signed as well, where that is wanted."""
        aligned = context is Context.SAMPLE_CLOCK
        room = "AlignedDataCtrlr" if aligned else "SampledDataCtrlr"
        measurands = "AlignedDataCtrlr.Measurands" if aligned else "SampledDataCtrlr.TxUpdatedMeasurands"
        report = self._reports.get(evse.id)
        if not session.signing or report is None or not report.separate or report.transaction != session.transaction:
            return
        if not (self._on(f"{room}.SignReadings") and self._on(f"{room}.SignUpdatedReadings")):
            return
        if REGISTER not in self._site.settings.members(measurands) or evse.id in self._asked:
            return  # a meter slower than the interval signs what it can
        self._asked[evse.id] = (context, stamp)
        self._site.send(SignReading(evse.id))

    def ended(self, evse: Evse, session: Session) -> bool:
        """Tell whether the end message may go: it is signed, or will not be."""
        if not session.signing or any(value.context is Context.TRANSACTION_END for _, value in session.signed):
            return True
        deadline, report = self.deadline(evse, session), self._reports.get(evse.id)
        failed = report is not None and report.failed == session.transaction
        if failed or (deadline is not None and self._site.now >= deadline):
            log.error(
                "EVSE %d: the meter did not sign the end of transaction %s; its register is told unsigned (%s)",
                evse.id,
                session.transaction,
                (report.trouble if report is not None else "") or "check the meter",
            )
            return True
        return False

    @staticmethod
    def deadline(evse: Evse, session: Session) -> float | None:
        """When waiting for the signed end is over; None while it has not begun."""
        return evse.opened_at + SIGN_WAIT_S if session.signing and evse.opened_at is not None else None

    def collected(self, session: Session) -> tuple[tuple[SignedValue, ...], tuple[SignedValue, ...]]:
        """Return what the end message carries, and what is too long for it."""
        stopped = session.stopped.utc_s if session.stopped is not None else self._site.moment.utc_s
        found = []
        for at, value in session.signed:
            is_end = value.context is Context.TRANSACTION_END
            ago_s = 0.0 if is_end else max(0.0, round(stopped - at, 3))
            found.append(replace(self._keyed(session, value), ago_s=ago_s))
        session.signed = []
        fits = tuple(value for value in found if len(value.data.encode()) <= MOST_BYTES)
        return fits, tuple(value for value in found if value not in fits)

    # ---- one step ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        if not self._site.control:
            return
        for evse in self._site.evses.values():
            if evse.info is not None and evse.info.signs:
                self._wish(evse)
                self._set_clock(evse)

    def _wish(self, evse: Evse) -> None:
        session, report = evse.session, self._reports.get(evse.id)
        if session is not None and session.signing and evse.in_transaction:
            if session.phase is Phase.RUNNING and self._begun.get(evse.id) != session.transaction:
                self._begun[evse.id] = session.transaction
                self._asked.pop(evse.id, None)
                self._site.send(self._session(evse, session))
            elif session.phase is Phase.STOPPING and evse.opened_at is not None:
                self._end(evse, session.transaction)
        elif report is not None and report.transaction:  # one that nobody waits for any more
            self._end(evse, report.transaction)

    def _end(self, evse: Evse, transaction: str) -> None:
        if self._ended.get(evse.id) != transaction:
            self._ended[evse.id] = transaction
            self._site.send(EndSigning(evse.id, transaction))

    def _session(self, evse: Evse, session: Session) -> BeginSigning:
        token = session.token
        known = token.kind != "NoAuthorization"
        remote = session.trigger is StartTrigger.REMOTE_START
        flags = ("OCPP_RS",) if remote else ("RFID_PLAIN",) if token.kind in ("ISO14443", "ISO15693") else ()
        level = ("TRUSTED" if remote else "HEARSAY") if known else "NONE"
        kind = "CENTRAL" if remote else _ID_TYPES.get(token.kind, "LOCAL")
        identity = self._site.config.ocpp.identity
        point = f"{identity} {evse.id}"
        uid = token.uid if known else ""
        return BeginSigning(evse.id, session.transaction, known, level, flags, kind, uid, point)

    def _set_clock(self, evse: Evse) -> None:
        """The meter's own clock stands in what it signs: set it when ours is sure, between transactions."""
        site = self._site
        report = self._reports.get(evse.id)
        if not site.moment.synced or evse.in_transaction or report is None or not report.ready:
            return
        offset_min = round(offset_s(site.settings, site.moment.utc_s) / 60)
        difference_s = site.moment.utc_s - site.now
        told = self._clock_told.get(evse.id)
        if told is not None:
            at, then_s, minutes = told
            same = minutes == offset_min and abs(then_s - difference_s) < 1.0
            if same and site.now - at < CLOCK_S:
                return
        self._clock_told[evse.id] = (site.now, difference_s, offset_min)
        site.send(MeterClock(evse.id, site.moment.utc_s, site.now, offset_min))

    # ---- pieces --------------------------------------------------------------------------------------------------

    def _record(self, evse: Evse, session: Session, value: SignedValue, stamp: Stamp) -> None:
        event = MeterSigned(session.transaction, evse.id, (self._keyed(session, value),), not self._site.online)
        self._site.record(event, stamp)

    def _keyed(self, session: Session, value: SignedValue) -> SignedValue:
        """With the public key, or without it (OCA, 3.3.2)."""
        mode = self._key_mode()
        if mode == "EveryMeterValue" or (mode == "OncePerTransaction" and not session.key_told):
            session.key_told = session.key_told or bool(value.public_key)
            return value
        return replace(value, public_key="")

    def _key_mode(self) -> str:
        return self._site.settings.string("OCPPCommCtrlr.PublicKeyWithSignedMeterValue")

    def _on(self, name: str) -> bool:
        return self._site.settings.boolean(name)

    def _members(self, name: str) -> tuple[str, ...]:
        return self._site.settings.members(f"SampledDataCtrlr.{name}")
