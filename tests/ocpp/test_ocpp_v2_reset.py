"""Reset of OCPP 2 beside an update, and what a restart is for: no socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ocpp_fakes import FakeStation, config

from agent.joints.restarts import Restarts
from agent.ocpp.restart_port import BootReason
from agent.ocpp.v2.block import Talk
from agent.ocpp.v2.reset import Reset2
from agent.ocpp.v2.version import Version
from agent.station.commands import ResetKind
from agent.station.effects import Keep
from agent.update.order import FirmwareStatus


def reset(status: FirmwareStatus, kind: str = "Immediate") -> tuple[dict[str, Any], list[Any]]:
    """Return the answer to a reset while an update is there, and what the station was asked."""
    station = FakeStation()
    files = SimpleNamespace(updates=SimpleNamespace(status=status))
    around: Any = SimpleNamespace(files=files, station=station, config=config("ws://x"), settings=station.settings)
    nothing: Any = None
    block = Reset2(Talk(Version.V201, around, nothing, nothing, nothing, nothing))
    answer: Any = block.handlers()["Reset"]({"type": kind})
    return answer, station.told("reset")


@pytest.mark.parametrize("status", [FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING])
@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_no_reset_while_software_is_installed(status: FirmwareStatus, kind: str) -> None:
    """B11.FR.06, B12.FR.10"""
    answer, asked = reset(status, kind)
    assert (answer["status"], answer["statusInfo"]["reasonCode"], asked) == ("Rejected", "FwUpdateInProgress", [])


@pytest.mark.parametrize("status", [FirmwareStatus.IDLE, FirmwareStatus.DOWNLOADING, FirmwareStatus.INSTALLED])
def test_any_other_update_is_no_hindrance(status: FirmwareStatus) -> None:
    assert reset(status) == ({"status": "Accepted"}, [(ResetKind.IMMEDIATE,)])


class Lives:
    """One agent after the other on the same journal."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def start(self, boot: str, *, updated: bool = False) -> Restarts:
        def carry_out(effects: Any) -> None:
            for effect in effects:
                assert isinstance(effect, Keep)
                self.kept[effect.key] = effect.value

        restarts = Restarts(self.kept, boot, lambda: updated, carry_out)
        restarts.begun()
        return restarts


def test_what_a_start_is_for() -> None:
    lives = Lives()
    assert lives.start("1").reason is BootReason.POWER_UP
    # It dies before a network has accepted anything: the reason has not been told yet.
    now = lives.start("1")
    assert now.reason is BootReason.POWER_UP
    now.told()
    assert lives.start("1").reason is BootReason.APPLICATION_RESET
    now = lives.start("1")
    now.told()
    now.leaving()
    now = lives.start("1")
    assert now.reason is BootReason.LOCAL_RESET
    now.told()
    now.reset(ResetKind.IMMEDIATE)
    now.leaving()
    assert lives.start("2").reason is BootReason.REMOTE_RESET
    now = lives.start("2")
    now.told()
    now.reset(ResetKind.ON_IDLE)
    now.leaving()
    now = lives.start("2")
    assert now.reason is BootReason.SCHEDULED_RESET
    now.told()
    now.leaving()
    assert lives.start("3").reason is BootReason.POWER_UP
    assert lives.start("4", updated=True).reason is BootReason.FIRMWARE_UPDATE


@pytest.mark.parametrize("kept", [{}, {"start": None}, {"start": 7}, {"start": {"for": "Nonsense"}}])
def test_what_cannot_be_read_is_a_power_up(kept: dict[str, Any]) -> None:
    lives = Lives()
    lives.kept = kept
    assert lives.start("1").reason is BootReason.POWER_UP
