"""OCPP 1.6 Smart Charging: profiles set, cleared and brought by a remote start; composite schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.ocpp.ports import JournalPort, StationPort
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.times import read_time, time_text
from agent.station.charging.profile import Kind, Period, Profile, Purpose, RateUnit, Recurrence, Schedule
from agent.station.charging.store import Filter

Payload = dict[str, Any]

_PURPOSES = {
    "ChargePointMaxProfile": Purpose.STATION_MAX,
    "TxDefaultProfile": Purpose.TX_DEFAULT,
    "TxProfile": Purpose.TX,
}


class SmartCharging16:
    """``note(text)`` writes to a log that cannot be flooded."""

    def __init__(
        self, station: StationPort, journal: JournalPort, evses: frozenset[int], note: Callable[[str], None]
    ) -> None:
        self._station = station
        self._journal = journal
        self._evses = evses
        self._note = note

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        """One method per message."""
        return {
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._composite,
            "SetChargingProfile": self._set,
        }

    def _set(self, payload: Payload) -> Payload:
        """§5.16"""
        connector, values = payload["connectorId"], payload["csChargingProfiles"]
        if connector != 0 and connector not in self._evses:
            raise RequestRefusedError("PropertyConstraintViolation", f"there is no connector {connector}")
        transaction = ""
        number = values.get("transactionId")
        if number is not None and values["chargingProfilePurpose"] == "TxProfile":
            known = self._journal.transaction_of(number) if number >= 0 else None
            if known is None:
                return {"status": "Rejected"}
            transaction = known
        profile = self.read(values, transaction)
        accepted = profile is not None and self._station.set_charging_profile(connector, profile)
        return {"status": "Accepted" if accepted else "Rejected"}

    def _clear(self, payload: Payload) -> Payload:
        """§5.5"""
        purpose = payload.get("chargingProfilePurpose")
        which = Filter(
            payload.get("id"),
            payload.get("connectorId"),
            None if purpose is None else _PURPOSES[purpose],
            payload.get("stackLevel"),
        )
        return {"status": "Accepted" if self._station.clear_charging_profiles(which) else "Unknown"}

    def _composite(self, payload: Payload) -> Payload:
        """§5.7"""
        unit = payload.get("chargingRateUnit")
        connector = payload["connectorId"]
        found = self._station.composite_schedule(
            connector, payload["duration"], None if unit is None else RateUnit(unit)
        )
        if found is None:
            return {"status": "Rejected"}
        start = time_text(found.start_utc_s)
        return {
            "status": "Accepted",
            "connectorId": connector,
            "scheduleStart": start,
            "chargingSchedule": {
                "duration": found.duration_s,
                "startSchedule": start,
                "chargingRateUnit": found.unit.value,
                "chargingSchedulePeriod": [
                    {"startPeriod": period.start_s, "limit": period.limit, "numberPhases": period.phases}
                    for period in found.periods
                ],
            },
        }

    def remote_profile(self, values: Payload) -> Profile | None:
        """Read the profile of a remote start; None when it may not come with one (§5.16.2)."""
        if "transactionId" in values or values["chargingProfilePurpose"] != "TxProfile":
            return None
        return self.read(values, "")

    def read(self, values: Payload, transaction: str) -> Profile | None:
        """Turn a csChargingProfiles that its schema allows into a profile; None when it has a time that is none."""
        schedule = values["chargingSchedule"]
        times: dict[str, int | None] = {}
        for name, text in (
            ("validFrom", values.get("validFrom")),
            ("validTo", values.get("validTo")),
            ("startSchedule", schedule.get("startSchedule")),
        ):
            time_s = None if text is None else read_time(text)
            if text is not None and time_s is None:
                self._note(f"a charging profile is refused: {name} {text[:40]!a} is no time")
                return None
            times[name] = None if time_s is None else int(time_s)
        recurrence = values.get("recurrencyKind")
        return Profile(
            values["chargingProfileId"],
            values["stackLevel"],
            _PURPOSES[values["chargingProfilePurpose"]],
            Kind(values["chargingProfileKind"]),
            Schedule(
                RateUnit(schedule["chargingRateUnit"]),
                tuple(
                    Period(period["startPeriod"], float(period["limit"]), period.get("numberPhases"))
                    for period in schedule["chargingSchedulePeriod"]
                ),
                times["startSchedule"],
                schedule.get("duration"),
                schedule.get("minChargingRate"),
            ),
            None if recurrence is None else Recurrence(recurrence),
            times["validFrom"],
            times["validTo"],
            transaction,
        )
