"""Meter values: which quantities, and when. On an interval within a transaction, and aligned to the clock always."""

from __future__ import annotations

import math
from dataclasses import replace

from agent.journal.events import Context, MeterSampled, SampledValue, Stamp
from agent.link.messages import MeterSample
from agent.station.commands import PresentValues
from agent.station.effects import ReportMeter
from agent.station.evse import Evse
from agent.station.session import Session
from agent.station.signing import Signing
from agent.station.site import Site, earliest

DAY_S = 86_400
HISTORY = 120
"""Most entries that an end message carries; beyond it every second one goes, so that they stay even."""


class _Collector:
    """Gathers values of one reading."""

    def __init__(self, context: Context) -> None:
        self.found: list[SampledValue] = []
        self._context = context

    def add(self, measurand: str, value: float | None, unit: str, phase: str = "") -> None:
        if value is not None and math.isfinite(value):
            self.found.append(SampledValue(measurand, value, unit, phase, self._context))


def values(
    evse: Evse | None,
    sample: MeterSample,
    measurands: tuple[str, ...],
    context: Context,
    interval_wh: float | None = None,
    nominal_v: float = 230.0,
) -> tuple[SampledValue, ...]:
    """Choose from a reading what ``measurands`` asks for. What the meter does not tell is left out. ``evse`` None: the
    building's meter."""
    to = _Collector(context)
    observation = evse.observation if evse is not None else None
    offered_a = observation.offered_a if observation is not None else None
    single = {
        "Energy.Active.Import.Register": (sample.energy_import_wh, "Wh"),
        "Energy.Active.Export.Register": (sample.energy_export_wh, "Wh"),
        "Energy.Active.Import.Interval": (interval_wh, "Wh"),
        "Power.Active.Import": (sample.power_w, "W"),
        "Power.Factor": (sample.power_factor, ""),
        "Frequency": (sample.frequency_hz, ""),  # OCPP 1.6 has no unit for it
        "Temperature": (observation.temperature_c if observation is not None else None, "Celsius"),
        "Current.Offered": (offered_a, "A"),
        "Power.Offered": (
            offered_a * observation.phases * nominal_v if offered_a is not None and observation is not None else None,
            "W",
        ),
    }
    for measurand in measurands:
        if measurand in single:
            to.add(measurand, *single[measurand])
        elif measurand == "Voltage":
            for index, voltage_v in enumerate(sample.voltage_v, 1):
                to.add(measurand, voltage_v, "V", f"L{index}-N")
        elif measurand == "Current.Import":
            for index, current_a in enumerate(sample.current_a, 1):
                to.add(measurand, current_a, "A", f"L{index}")
    return tuple(to.found)


def next_aligned(utc_s: float, interval_s: int) -> float:
    """Return the next moment after ``utc_s`` on the grid that begins anew at each midnight (UTC)."""
    midnight = math.floor(utc_s / DAY_S) * DAY_S
    step = math.floor((utc_s - midnight) / interval_s) + 1
    return min(midnight + step * interval_s, midnight + DAY_S)


class ClockGrid:
    """Moments aligned to the clock. Times in seconds since 1970."""

    def __init__(self) -> None:
        self._interval_s = 0
        self._next_utc_s: float | None = None

    def due(self, site: Site, interval_s: int) -> tuple[float, ...]:
        """Return the moment that has just come, if one has. One that a clock set forward jumped over is left out:
        nothing was taken then."""
        utc_s = site.moment.utc_s
        if interval_s != self._interval_s:
            self._interval_s, self._next_utc_s = interval_s, None
        if not interval_s:
            return ()
        due_utc_s = self._next_utc_s
        if due_utc_s is None or due_utc_s - utc_s > interval_s:  # first, or the clock was set back
            self._next_utc_s = next_aligned(utc_s, interval_s)
            return ()
        if utc_s < due_utc_s:
            return ()
        self._next_utc_s = next_aligned(utc_s, interval_s)
        return (due_utc_s,) if utc_s - due_utc_s <= 2.0 else ()

    def wake(self, site: Site) -> float | None:
        """When the next moment comes, in monotonic seconds."""
        return None if self._next_utc_s is None else site.now + self._next_utc_s - site.moment.utc_s


class Metering:
    """Takes the samples when they are due. A reading that is too old is left out, never repeated."""

    def __init__(self, site: Site, signing: Signing) -> None:
        self._site = site
        self._signing = signing
        self._told: dict[int, float] = {}
        """When the reading was taken that each EVSE's last periodic sample told (monotonic)."""
        self._grid = ClockGrid()
        self._ended_grid = ClockGrid()

    def begin(self, evse: Evse, session: Session) -> tuple[SampledValue, ...]:
        """Values for the start of a transaction; starts its interval."""
        evse.sampled_at, evse.sampled_wh = self._site.now, session.start_wh
        evse.collected_at = self._site.now
        begin = self._pick(evse, self._members("SampledDataCtrlr.TxEndedMeasurands"), Context.TRANSACTION_BEGIN)
        if begin:
            session.history.append((self._site.moment.utc_s, begin))
        if session.stop_points:  # E01.FR.09
            started = self._members("SampledDataCtrlr.TxStartedMeasurands")
            return self._pick(evse, started, Context.TRANSACTION_BEGIN)
        return begin

    def started(self, evse: Evse, session: Session) -> None:
        """Values that the network wants in a message of their own right after the start (OCA, Signed Meter Values in
        OCPP, 3.3.4). OCPP 2.x has them in the start itself."""
        if session.stop_points:
            return
        found = self._pick(evse, self._members("SampledDataCtrlr.TxStartedMeasurands"), Context.TRANSACTION_BEGIN)
        if found:
            self._record(evse, session, found, session.started)

    def end(self, evse: Evse, session: Session) -> tuple[SampledValue, ...]:
        """Values for the end of a transaction, and those collected for it on the way."""
        measurands = self._members("SampledDataCtrlr.TxEndedMeasurands")
        last = self._pick(evse, measurands, Context.TRANSACTION_END)
        stopped_utc_s = session.stopped.utc_s if session.stopped is not None else self._site.moment.utc_s
        collected = [
            replace(value, ago_s=max(0.0, round(stopped_utc_s - at, 3)))
            for at, entry in session.history
            for value in entry
        ]
        return (*collected, *last)

    def present(self, evse: Evse) -> PresentValues | None:
        """What a sample taken now would say (asked for by the network); None when the meter is silent."""
        # 2.x, F06.FR.06; 1.6 §5.17.
        room = "AlignedDataCtrlr.Measurands" if self._site.flexible else "SampledDataCtrlr.TxUpdatedMeasurands"
        found = self.wanted(evse, room)
        session = evse.metered
        transaction = session.transaction if session is not None else ""
        return PresentValues(evse.id, transaction, self._site.moment.utc_s, found) if found else None

    def wanted(self, evse: Evse, setting: str) -> tuple[SampledValue, ...]:
        """Values of now that the network has asked for; none while the meter is silent."""
        return self._pick(evse, self._members(setting), Context.TRIGGER)

    def asked(self, evse: Evse) -> bool:
        """Tell a reading now, besides the usual ones and as surely. False while the meter is silent."""
        measurands = self._members("SampledDataCtrlr.TxUpdatedMeasurands") or ("Energy.Active.Import.Register",)
        found = self._pick(evse, measurands, Context.TRIGGER)
        if not found:
            return False
        session = evse.metered
        if session is not None:
            self._record(evse, session, found)
        else:
            self._site.emit(ReportMeter(evse.id, self._site.moment.utc_s, found))
        return True

    def settle(self) -> None:
        self._interval()
        self._collect_on_the_way()
        for at_utc_s in self._grid.due(self._site, self._interval_s("AlignedDataCtrlr.Interval")):
            for evse in self._site.evses.values():
                self._align(evse, at_utc_s)
            self._align_grid(at_utc_s)
        for _at_utc_s in self._ended_grid.due(self._site, self._interval_s("AlignedDataCtrlr.TxEndedInterval")):
            for evse in self._site.evses.values():
                self._collect_aligned(evse)

    def wake(self) -> float | None:
        interval_s = self._interval_s("SampledDataCtrlr.TxUpdatedInterval")
        ended_s = self._interval_s("SampledDataCtrlr.TxEndedInterval")
        due: list[float | None] = [grid.wake(self._site) for grid in (self._grid, self._ended_grid)]
        for evse in self._site.evses.values():
            session = evse.metered
            if session is None:
                continue
            if interval_s and evse.sampled_at is not None:
                due.append(evse.sampled_at + interval_s)
            if ended_s and session.stop_points and evse.collected_at is not None:
                due.append(evse.collected_at + ended_s)
        return earliest(due)

    def _interval(self) -> None:
        site = self._site
        interval_s = site.settings.integer("SampledDataCtrlr.TxUpdatedInterval")
        if not interval_s:
            return
        for evse in site.evses.values():
            session = evse.metered
            if session is None:
                continue
            if evse.sampled_at is None:  # taken over from before a restart
                evse.sampled_at, evse.sampled_wh = site.now, session.register_wh
            if site.now - evse.sampled_at < interval_s:
                continue
            # The grid stays that of the start, however late this step comes.
            evse.sampled_at += math.floor((site.now - evse.sampled_at) / interval_s) * interval_s
            sample = evse.fresh_meter(site.now)
            if sample is None or sample.at <= self._told.get(evse.id, float("-inf")):
                continue  # nothing new: a meter slower than the interval must not make one reading look like two
            self._told[evse.id] = sample.at
            interval_wh = None if evse.sampled_wh is None else sample.energy_import_wh - evse.sampled_wh
            evse.sampled_wh = sample.energy_import_wh
            # The values carry the time they were taken, but none from before the start.
            started = session.started
            started_at = started.monotonic_s if started is not None and started.boot == site.moment.boot else 0.0
            stamp = site.moment.stamp(max(sample.at, started_at))
            self._put(
                evse, session, "SampledDataCtrlr.TxUpdatedMeasurands", Context.SAMPLE_PERIODIC, interval_wh, stamp
            )
            if not session.stop_points:
                self._collect(evse, session, "SampledDataCtrlr.TxEndedMeasurands", Context.SAMPLE_PERIODIC, interval_wh)

    def _collect_on_the_way(self) -> None:
        """For the end message, at an interval of its own (OCPP 2.x, SampledDataCtrlr.TxEndedInterval)."""
        site = self._site
        interval_s = self._interval_s("SampledDataCtrlr.TxEndedInterval")
        for evse in site.evses.values():
            session = evse.metered
            if session is None or not session.stop_points or not interval_s:
                continue
            if evse.collected_at is None:  # taken over from before a restart
                evse.collected_at = site.now
            passed_s = site.now - evse.collected_at
            if passed_s >= interval_s:
                evse.collected_at += math.floor(passed_s / interval_s) * interval_s
                self._collect(evse, session, "SampledDataCtrlr.TxEndedMeasurands", Context.SAMPLE_PERIODIC, None)

    def _align(self, evse: Evse, due_utc_s: float) -> None:
        site = self._site
        sample = evse.fresh_meter(site.now)
        if sample is None or self._only_idle():
            return
        interval_wh = None if evse.aligned_wh is None else sample.energy_import_wh - evse.aligned_wh
        evse.aligned_wh = sample.energy_import_wh
        session = evse.metered
        if session is not None:
            stamp = site.moment.stamp(site.now - (site.moment.utc_s - due_utc_s))
            self._put(evse, session, "AlignedDataCtrlr.Measurands", Context.SAMPLE_CLOCK, interval_wh, stamp)
            if not session.stop_points:
                self._collect(evse, session, "AlignedDataCtrlr.TxEndedMeasurands", Context.SAMPLE_CLOCK, interval_wh)
            return
        found = self._pick(evse, self._members("AlignedDataCtrlr.Measurands"), Context.SAMPLE_CLOCK, interval_wh)
        if found:
            site.emit(ReportMeter(evse.id, due_utc_s, found))

    def _align_grid(self, due_utc_s: float) -> None:
        """The building's own meter, as EVSE 0 (J01.FR.03, J01.FR.04). OCPP 1.6 never heard of it from us."""
        site = self._site
        grid = site.grid
        if not site.flexible or grid is None or grid.measured is None or not grid.fresh(site.now) or self._only_idle():
            return
        found = values(None, grid.measured, self._members("AlignedDataCtrlr.Measurands"), Context.SAMPLE_CLOCK)
        if found:
            site.emit(ReportMeter(0, due_utc_s, found))

    def _only_idle(self) -> bool:
        """J01.FR.19, J01.FR.20: set for the whole station, an open transaction anywhere silences all of it."""
        site = self._site
        silent = site.flexible and site.settings.boolean("AlignedDataCtrlr.SendDuringIdle")
        return silent and any(other.in_transaction for other in site.evses.values())

    def _collect_aligned(self, evse: Evse) -> None:
        """For the end message, on a grid of its own (OCPP 2.x, AlignedDataCtrlr.TxEndedInterval)."""
        session = evse.metered
        if session is not None and session.stop_points:
            self._collect(evse, session, "AlignedDataCtrlr.TxEndedMeasurands", Context.SAMPLE_CLOCK, None)

    def _put(
        self,
        evse: Evse,
        session: Session,
        setting: str,
        context: Context,
        interval_wh: float | None,
        stamp: Stamp,
    ) -> None:
        found = self._pick(evse, self._members(setting), context, interval_wh)
        if found:
            self._record(evse, session, found, stamp)
        self._signing.sample(evse, session, context, stamp)

    def _record(
        self, evse: Evse, session: Session, found: tuple[SampledValue, ...], stamp: Stamp | None = None
    ) -> None:
        offline = not self._site.online
        self._site.record(MeterSampled(session.transaction, evse.id, found, offline, early=not session.known), stamp)

    def _collect(self, evse: Evse, session: Session, setting: str, context: Context, interval_wh: float | None) -> None:
        found = self._pick(evse, self._members(setting), context, interval_wh)
        if found:
            session.history.append((self._site.moment.utc_s, found))
            if len(session.history) > HISTORY:
                session.history = [session.history[0], *session.history[2::2]]

    def _pick(
        self, evse: Evse, measurands: tuple[str, ...], context: Context, interval_wh: float | None = None
    ) -> tuple[SampledValue, ...]:
        sample = evse.fresh_meter(self._site.now)
        if sample is None or not measurands:
            return ()
        return values(evse, sample, measurands, context, interval_wh, self._site.config.installation.nominal_voltage_v)

    def _interval_s(self, setting: str) -> int:
        return self._site.settings.integer(setting)

    def _members(self, setting: str) -> tuple[str, ...]:
        return self._site.settings.members(setting)
