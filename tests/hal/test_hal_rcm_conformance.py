"""The conformance kit on the drivers that are no kind of the lab: residual-current monitors, the kernel's sensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.conformance.findings import Verdict
from hal.conformance.kit import examine, examine_alone
from hal.conformance.peer_process import ProcessPeer
from hal.conformance.subject import Subject
from hal.drivers import linux_temperature, modbus_rcm
from hal.drivers.linux_temperature import LinuxTemperatureOptions, SensorOptions
from hal.drivers.modbus_rcm import ModbusRcmOptions
from hal.drivers.rcm_monitor import MonitorOptions

HERE = Path(__file__).parent


@pytest.mark.process
def test_monitors_on_a_line_keep_the_contract() -> None:
    with ProcessPeer("rcm_counterpart:RcmCounterpart", path=(HERE,)) as peer:
        given = dict(peer.options)
        monitors = tuple(MonitorOptions(each["address"], each["map"], each["name"]) for each in given["monitors"])
        options = ModbusRcmOptions(given["port"], monitors, parity="N")
        report = examine(Subject("rcm", modbus_rcm.DRIVER, options, peer))
    assert report.passed, report.text()
    asked = {finding.check for finding in report.findings if finding.verdict is Verdict.PASS}
    assert asked >= {"unplug", "silence", "stale", "garbage", "two-owners", "close", "blocking"}, report.text()


def test_the_kernels_sensors_keep_the_contract_as_far_as_it_can_be_asked(tmp_path: Path) -> None:
    sensor = tmp_path / "temp1_input"
    sensor.write_text("21000\n")
    options = LinuxTemperatureOptions((SensorOptions(path=str(sensor)),), 0.5)
    report = examine(Subject("heat", linux_temperature.DRIVER, options))
    assert [finding for finding in report.findings if finding.verdict is Verdict.FAIL] == [], report.text()
    assert all(
        finding.verdict is not Verdict.FAIL
        for finding in examine_alone(Subject("heat", linux_temperature.DRIVER, options))
    )
