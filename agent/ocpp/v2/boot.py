"""What OCPP 2 tells of a charging station when it registers (B01)."""

from __future__ import annotations

from typing import Any

from agent.config.schema import Station


def boot_notification(station: Station, firmware: str, reason: str) -> dict[str, Any]:
    """Return the payload of a BootNotification, each field cut to its length. ``reason``: a BootReasonEnumType."""
    told: dict[str, Any] = {"model": station.model[:20], "vendorName": station.vendor[:50]}
    told["firmwareVersion"] = firmware[:50]
    if station.serial_number:
        told["serialNumber"] = station.serial_number[:25]
    modem = {"iccid": station.iccid[:20], "imsi": station.imsi[:20]}
    if any(modem.values()):
        told["modem"] = {name: text for name, text in modem.items() if text}
    return {"reason": reason, "chargingStation": told}
