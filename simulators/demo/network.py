"""What the story asks of the network, and how it tells of it, in the words of the version that is spoken."""

from __future__ import annotations

from typing import Any

from simulators.csms.process import CsmsProcess


class Network:
    """OCPP 1.6."""

    begun = "StartTransaction"
    """The message that tells of a charge's begin."""

    def __init__(self, csms: CsmsProcess) -> None:
        self._csms = csms

    def boot(self) -> tuple[str, str]:
        """Wait for the boot; return vendor and model."""
        boot = self._csms.wait_for("BootNotification")[0]["payload"]
        return boot["chargePointVendor"], boot["chargePointModel"]

    def authorised(self, card: str) -> None:
        """Wait until this card was asked about."""
        self._csms.wait_for("Authorize", idTag=card)

    def started(self, card: str, timeout_s: float) -> None:
        """Wait until a charge of this card is on the books."""
        self._csms.wait_for("StartTransaction", idTag=card, timeout_s=timeout_s)

    def lower(self, limit_a: int) -> str:
        """Lower the whole station; return what was asked and answered."""
        answer = self._csms.call(None, "ChangeConfiguration", {"key": "StationMaxCurrent", "value": str(limit_a)})
        return f"ChangeConfiguration StationMaxCurrent={limit_a}: {answer['status']}"


class Network2(Network):
    """OCPP 2.0.1 and 2.1."""

    begun = "TransactionEvent Started"

    def boot(self) -> tuple[str, str]:
        boot = self._csms.wait_for("BootNotification")[0]["payload"]["chargingStation"]
        return boot["vendorName"], boot["model"]

    def authorised(self, card: str) -> None:
        self._csms.wait_for("Authorize", **_card(card))

    def started(self, card: str, timeout_s: float) -> None:
        self._csms.wait_for("TransactionEvent", timeout_s=timeout_s, eventType="Started", **_card(card))

    def lower(self, limit_a: int) -> str:
        answer = self._csms.ctl("limit", limit_a)
        return f"SetChargingProfile ChargingStationMaxProfile {limit_a} A: {answer['status']}"


def _card(card: str) -> dict[str, Any]:
    return {"idToken.idToken": card}


def network_of(csms: CsmsProcess, subprotocol: str) -> Network:
    """Return the one that speaks this version."""
    return Network(csms) if subprotocol == "ocpp1.6" else Network2(csms)
