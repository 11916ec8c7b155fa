"""What has gone wrong before: each fault and each device's trouble with how often, since when, and its last words.

Kept over restarts, bounded, and written seldom: a fault that flaps must not wear out the flash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.link.messages import DeviceReport, FaultReport, Observation
from agent.station.documents import FaultHistoryDocument, moment
from agent.station.site import Site, earliest

MOST = 200
"""Entries. The one that was last seen longest ago gives way."""
SAVE_S = 30.0
"""An entry that changes again is not written sooner."""
TABLE = "fault"
DEVICE = "device:"
"""Begins the code of a device's trouble."""
MAX_TEXT = 300


@dataclass(slots=True)
class Entry:
    evse: int
    """0: a device's, or of the whole charge point."""
    code: str
    count: int = 0
    first_utc_s: float = 0.0
    last_utc_s: float = 0.0
    """When it came last."""
    ended_utc_s: float | None = None
    detail: str = ""
    remedy: str = ""
    active: bool = False
    confirmed: bool = True
    """Told by this run of control; else it was there before, and is still to be told of again."""
    save_due: float | None = None
    saved_at: float = float("-inf")

    @property
    def key(self) -> str:
        return f"{self.evse}:{self.code}"


class FaultHistory:
    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._entries: dict[str, Entry] = {}
        for document in kept.get(TABLE, {}).values():
            entry = _read(document)
            if entry is not None:
                self._entries[entry.key] = entry

    # ---- what happens -------------------------------------------------------------------------------------------

    def reported(self, report: FaultReport) -> None:
        """A fault of control came or went."""
        evse = report.evse if report.evse in self._site.evses else 0
        self._note(evse, report.code.value, report.active, report.detail, report.remedy)

    def device(self, report: DeviceReport) -> None:
        """A device is well, or is not."""
        self._note(0, f"{DEVICE}{report.device[:60]}", not report.ok, report.detail, "")

    def afresh(self) -> None:
        """Control has started anew: what it does not tell of again is over."""
        for entry in self._entries.values():
            entry.confirmed = False

    def observed(self, observation: Observation) -> None:
        """Whatever control does not list any more has ended, also unheard."""
        listed = {code.value for code in observation.faults}
        for entry in self._entries.values():
            if entry.active and entry.evse == observation.evse and entry.code not in listed:
                self._end(entry)

    def _note(self, evse: int, code: str, active: bool, detail: str, remedy: str) -> None:
        entry = self._entries.get(f"{evse}:{code}")
        if not active:
            if entry is not None and entry.active:
                self._end(entry)
            return
        now_s = self._site.moment.utc_s
        if entry is None:
            entry = Entry(evse, code, first_utc_s=now_s)
            self._make_room()
            self._entries[entry.key] = entry
        again = entry.active
        if not again:
            entry.count += 1
            entry.last_utc_s, entry.ended_utc_s, entry.active = now_s, None, True
        words = detail[:MAX_TEXT], remedy[:MAX_TEXT]
        if not again or (words != (entry.detail, entry.remedy) and any(words)):
            entry.detail, entry.remedy = words
            self._touch(entry)
        entry.confirmed = True

    def _end(self, entry: Entry) -> None:
        entry.active, entry.confirmed = False, True
        entry.ended_utc_s = self._site.moment.utc_s
        self._touch(entry)

    def _make_room(self) -> None:
        if len(self._entries) >= MOST:
            oldest = min(self._entries.values(), key=lambda each: (each.active, each.last_utc_s))
            del self._entries[oldest.key]
            self._site.keep(TABLE, oldest.key, None)

    # ---- keeping ------------------------------------------------------------------------------------------------

    def _touch(self, entry: Entry) -> None:
        if entry.save_due is None:
            entry.save_due = max(self._site.now, entry.saved_at + SAVE_S)

    def settle(self) -> None:
        now = self._site.now
        for entry in self._entries.values():
            if entry.save_due is not None and now >= entry.save_due:
                entry.save_due, entry.saved_at = None, now
                self._site.keep(TABLE, entry.key, _written(entry))

    def wake(self) -> float | None:
        return earliest(entry.save_due for entry in self._entries.values())

    # ---- telling ------------------------------------------------------------------------------------------------

    def times(self, evse: int, code: str) -> int:
        """How often this came, over all times."""
        entry = self._entries.get(f"{evse}:{code}")
        return 0 if entry is None else entry.count

    def documents(self) -> list[FaultHistoryDocument]:
        """Return all entries: present ones first, then the latest first."""
        ordered = sorted(self._entries.values(), key=lambda each: (not each.active, -each.last_utc_s, each.key))
        return [
            FaultHistoryDocument(
                evse=entry.evse,
                code=entry.code,
                active=entry.active,
                count=entry.count,
                first_at=moment(entry.first_utc_s),
                last_at=moment(entry.last_utc_s),
                ended_at=moment(entry.ended_utc_s),
                detail=entry.detail,
                remedy=entry.remedy,
            )
            for entry in ordered
        ]


def _written(entry: Entry) -> dict[str, Any]:
    return {
        "evse": entry.evse,
        "code": entry.code,
        "count": entry.count,
        "first_utc_s": entry.first_utc_s,
        "last_utc_s": entry.last_utc_s,
        "ended_utc_s": entry.ended_utc_s,
        "detail": entry.detail,
        "remedy": entry.remedy,
        "active": entry.active,
    }


def _read(document: Any) -> Entry | None:
    """Return a kept entry; None when it cannot be read."""
    try:
        ended = document["ended_utc_s"]
        return Entry(
            int(document["evse"]),
            str(document["code"]),
            int(document["count"]),
            float(document["first_utc_s"]),
            float(document["last_utc_s"]),
            None if ended is None else float(ended),
            str(document["detail"]),
            str(document["remedy"]),
            document["active"] is True,
            confirmed=False,
        )
    except (KeyError, TypeError, ValueError):
        return None
