"""Turns what the rooms tell into metrics. The table in docs/monitoring.md names each; a test holds them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.link.messages import LoopReport
from agent.local.status import StatusDocument
from agent.metrics.text import Family, Kind, Sample, histogram
from agent.metrics.uptime import Ledger

BOUNDS_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""``agent.control.lateness.BOUNDS_MS`` in seconds; a test holds them together."""


@dataclass(slots=True)
class Counts:
    """What is counted as it happens, since the agent began."""

    faults: dict[tuple[int, str], int] = field(default_factory=dict)
    """By EVSE and code: how often it was raised."""
    control_starts: int = 0
    """Other instances of control than the first."""
    sessions: dict[int, int] = field(default_factory=dict)
    """Transactions begun, by EVSE."""
    ended: dict[int, int] = field(default_factory=dict)
    devices: dict[str, bool] = field(default_factory=dict)
    loop: LoopReport | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel tells of the agent process."""

    pss_bytes: int | None
    written_bytes: int | None
    """To the disk, since the agent began."""
    running_s: float


@dataclass(frozen=True, slots=True)
class Books:
    """What the journal tells."""

    pending: int
    parked: int
    oldest_s: float | None
    """Age of the oldest record that waits."""
    file_bytes: int
    free_bytes: int | None
    """On its file system."""
    starts: int
    """Of the agent, ever."""
    waiting: bool
    """The disk does not take what is to be written."""


def families(
    status: StatusDocument, counts: Counts, process: Process, books: Books, ledgers: Mapping[int, Ledger]
) -> list[Family]:
    """Return every metric, in a fixed order."""
    station = status["station"]
    about = {key: str(station[key]) for key in ("identity", "vendor", "model", "version")}
    found = [
        Family("evse_agent_info", Kind.GAUGE, "Who this charge point is; always 1.", [Sample(1, about)]),
        _gauge("evse_agent_uptime_seconds", "Seconds since the agent process began.", process.running_s),
        Family("evse_agent_starts_total", Kind.COUNTER, "Starts of the agent process, ever.", [Sample(books.starts)]),
        Family(
            "evse_control_restarts_total",
            Kind.COUNTER,
            "Restarts of the control process since the agent began.",
            [Sample(counts.control_starts)],
        ),
        _gauge("evse_control_connected", "1 while the control process answers.", status["control"]["connected"]),
        _state("evse_uplink_state", "1 for the state that the link to the network is in.", status["uplink"]["state"]),
        _gauge("evse_clock_synced", "1 once the network or the machine told the time.", status["clock"]["synced"]),
        _gauge("evse_queue_pending", "Records that wait for the network.", books.pending),
        _gauge("evse_queue_parked", "Records that the network refused for good; kept.", books.parked),
        _gauge("evse_queue_oldest_seconds", "Age of the oldest record that waits.", books.oldest_s or 0.0),
        _gauge("evse_journal_bytes", "Size of the journal's files.", books.file_bytes),
        _gauge("evse_journal_waiting", "1 while the disk does not take what is to be written.", books.waiting),
        _gauge("evse_state_free_bytes", "Free space where the journal lies.", books.free_bytes),
        _gauge("evse_agent_pss_bytes", "Memory of the agent, its share of shared pages.", process.pss_bytes),
        _counter("evse_agent_written_bytes_total", "Bytes that the agent had written to disks.", process.written_bytes),
        *_control(counts.loop),
        *_loop(counts.loop),
        Family(
            "evse_device_ok",
            Kind.GAUGE,
            "1 while a device is well.",
            [Sample(ok, {"device": name}) for name, ok in sorted(counts.devices.items())],
        ),
        Family(
            "evse_faults_total",
            Kind.COUNTER,
            "How often a fault was raised since the agent began.",
            [Sample(n, {"evse": str(e), "code": code}) for (e, code), n in sorted(counts.faults.items())],
        ),
        *_evses(status, counts),
        *_uptime(ledgers),
    ]
    return [family for family in found if family.samples]


def _gauge(name: str, text: str, value: float | None) -> Family:
    return Family(name, Kind.GAUGE, text, [] if value is None else [Sample(float(value))])


def _counter(name: str, text: str, value: float | None) -> Family:
    return Family(name, Kind.COUNTER, text, [] if value is None else [Sample(float(value))])


def _state(name: str, text: str, state: str) -> Family:
    return Family(name, Kind.GAUGE, text, [Sample(1, {"state": state})])


def _control(report: LoopReport | None) -> list[Family]:
    if report is None:
        return []
    return [
        _gauge("evse_control_resident_bytes", "Memory of control, shared pages included.", report.memory_bytes),
        _counter("evse_control_written_bytes_total", "Bytes that control had written to disks.", report.written_bytes),
    ]


def _loop(report: LoopReport | None) -> list[Family]:
    if report is None or len(report.late) != len(BOUNDS_S) + 1 or len(report.reaction) != len(BOUNDS_S) + 1:
        return []
    return [
        histogram(
            "evse_loop_lateness_seconds", "How late a tick of control came.", BOUNDS_S, report.late, report.late_total_s
        ),
        _gauge("evse_loop_lateness_worst_seconds", "The latest tick of the last 10 s.", report.late_worst_s),
        histogram(
            "evse_loop_reaction_seconds",
            "From a frame of a device to control's commands.",
            BOUNDS_S,
            report.reaction,
            report.reaction_total_s,
        ),
        _gauge("evse_loop_reaction_worst_seconds", "The slowest reaction of the last 10 s.", report.reaction_worst_s),
    ]


def _evses(status: StatusDocument, counts: Counts) -> list[Family]:
    evses = status["evses"]

    def of(name: str, kind: Kind, text: str, value: str) -> Family:
        samples = [
            Sample(float(number), {"evse": str(evse["id"])})
            for evse in evses
            if (number := evse[value]) is not None  # type: ignore[literal-required]
        ]
        return Family(name, kind, text, samples)

    return [
        Family(
            "evse_status",
            Kind.GAUGE,
            "1 for the status that the EVSE has.",
            [Sample(1, {"evse": str(evse["id"]), "status": evse["status"]}) for evse in evses],
        ),
        Family(
            "evse_fault",
            Kind.GAUGE,
            "1 for each fault that stands.",
            [
                Sample(1, {"evse": str(evse["id"]), "code": code})
                for evse in evses
                for code in sorted({fault["code"] for fault in evse["faults"]})
            ],
        ),
        of("evse_power_watts", Kind.GAUGE, "Power that flows.", "power_w"),
        of("evse_offered_amperes", Kind.GAUGE, "Current that the vehicle may draw, per phase.", "offered_a"),
        of("evse_temperature_celsius", Kind.GAUGE, "Temperature that the board measures.", "temperature_c"),
        of("evse_energy_watthours_total", Kind.COUNTER, "The meter's own register.", "energy_wh"),
        *(
            Family(
                name,
                Kind.COUNTER,
                text,
                [Sample(count, {"evse": str(evse)}) for evse, count in sorted(of_evse.items())],
            )
            for name, text, of_evse in (
                ("evse_sessions_total", "Transactions begun since the agent began.", counts.sessions),
                ("evse_sessions_ended_total", "Transactions ended since the agent began.", counts.ended),
            )
        ),
    ]


def _uptime(ledgers: Mapping[int, Ledger]) -> list[Family]:
    months, outages, years = [], [], []
    for evse, ledger in sorted(ledgers.items()):
        years.append(Sample(ledger.year_pct(), {"evse": str(evse)}))
        for name, month in sorted(ledger.months.items()):
            labels = {"evse": str(evse), "month": name}
            months.append(Sample(month.uptime_pct, labels))
            outages += [
                Sample(minutes, {**labels, "cause": cause}) for cause, minutes in sorted(month.outage_min.items())
            ]
    return [
        Family("evse_uptime_year_percent", Kind.GAUGE, "Uptime by the NEVI formula, twelve months.", years),
        Family("evse_uptime_month_percent", Kind.GAUGE, "Uptime of what was watched of a month.", months),
        Family("evse_outage_minutes", Kind.GAUGE, "Minutes of a month without service, by cause.", outages),
    ]
