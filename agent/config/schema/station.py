"""Who the charge point is."""

from __future__ import annotations

from dataclasses import dataclass

from agent.config.schema.rules import length
from hal.options import option


def _time_zone(value: str) -> str:
    if not value:
        return ""
    from zoneinfo import ZoneInfo  # rarely needed, and the control process reads this file too

    try:
        ZoneInfo(value)
    except (OSError, ValueError):
        return "is no time zone; use a name like Europe/Berlin, or leave it empty for UTC"
    except KeyError:
        return "is not known on this machine; use a name like Europe/Berlin, or install tzdata"
    return ""


@dataclass(frozen=True, slots=True)
class Station:
    """Who this charge point is. Sent to the operator's network in the boot message."""

    vendor: str = option(help="maker of the charge point, at most 20 characters", check=lambda v: length(v, 20))
    model: str = option(help="model of the charge point, at most 20 characters", check=lambda v: length(v, 20))
    serial_number: str = option(help="serial number, at most 25 characters", check=lambda v: length(v, 25))
    iccid: str = option("", help="SIM card number of the modem, at most 20 characters", check=lambda v: length(v, 20))
    imsi: str = option("", help="subscriber number of the modem, at most 20 characters", check=lambda v: length(v, 20))
    meter_type: str = option("", help="type of the main meter, at most 25 characters", check=lambda v: length(v, 25))
    meter_serial_number: str = option("", help="serial number of the main meter", check=lambda v: length(v, 25))
    time_zone: str = option(
        "",
        help="zone that daily and weekly charging schedules follow, like Europe/Berlin; empty for UTC",
        check=lambda v: _time_zone(v),
    )
