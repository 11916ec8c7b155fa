"""Reset of the charging station (B11, B12; 2.1 B13)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info
from agent.station.commands import ResetKind
from agent.update.order import FirmwareStatus

IN_THE_MIDDLE = (FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING)
"""An update that must not be interrupted."""

OF_TYPE = {
    "Immediate": ResetKind.IMMEDIATE,
    "OnIdle": ResetKind.ON_IDLE,
    "ImmediateAndResume": ResetKind.RESUME,
}
"""By ResetEnumType."""


class Reset2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"Reset": self._reset}

    def _reset(self, payload: Payload) -> Payload:
        kind = OF_TYPE[payload["type"]]
        if "evseId" in payload:  # B11.FR.09, B12.FR.09: one process drives every EVSE
            if payload["evseId"] not in self._talk.evses:
                return _rejected("UnknownEvse", "there is no such EVSE")
            return _rejected("UnsupportedParam", "an EVSE cannot be reset alone; leave evseId out")
        files = self._talk.around.files
        if files is not None and files.updates.status in IN_THE_MIDDLE:  # B11.FR.06, B12.FR.10
            return _rejected("FwUpdateInProgress", "new software is being installed")
        ongoing = bool(self._talk.station.transactions.open())
        if kind is ResetKind.RESUME:
            if not self._talk.settings.integer("TxCtrlr.ResumptionTimeout"):  # B13.FR.01
                return _rejected("NotEnabled", "TxCtrlr.ResumptionTimeout is 0: no transaction is resumed")
            if not ongoing:  # B13.FR.02
                kind = ResetKind.IMMEDIATE
        if not self._talk.station.reset(kind):
            return _rejected("InternalError", "the charging station cannot be reset now")
        # B12.FR.01, B12.FR.02
        return {"status": "Scheduled" if ongoing and kind is ResetKind.ON_IDLE else "Accepted"}


def _rejected(reason: str, detail: str) -> Payload:
    return {"status": "Rejected", "statusInfo": status_info(reason, detail)}
