"""What OCPP 1.6 tells of a charge point when it registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.config.schema import Station


def boot_notification(station: Station, firmware: str) -> dict[str, Any]:
    """Return the payload of a BootNotification (OCPP 1.6 §6.3), each field cut to its length."""
    optional: Mapping[str, tuple[str, int]] = {
        "chargePointSerialNumber": (station.serial_number, 25),
        "firmwareVersion": (firmware, 50),
        "iccid": (station.iccid, 20),
        "imsi": (station.imsi, 20),
        "meterType": (station.meter_type, 25),
        "meterSerialNumber": (station.meter_serial_number, 25),
    }
    payload = {"chargePointVendor": station.vendor[:20], "chargePointModel": station.model[:20]}
    payload.update({name: text[:most] for name, (text, most) in optional.items() if text})
    return payload
