"""The device model in the running agent: loaded only where it is wanted, looked at in time, written at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from agent.config.schema import Config
from agent.link.messages import FaultCode
from agent.ocpp.times import read_time
from tests.tc201.rig import Rig201, case


@pytest.mark.process
def test_an_agent_that_speaks_1_6_alone_loads_nothing_of_it() -> None:
    code = "import sys, agent.app; print([name for name in sys.modules if name.startswith('agent.device_model')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def only_old(config: Config) -> Config:
    """Configured for OCPP 1.6 alone."""
    return replace(config, ocpp=replace(config.ocpp, versions=("ocpp1.6",)))


@case(start=False, change=only_old)
async def test_it_is_made_at_the_start_only_where_ocpp_2_may_be_spoken(rig: Rig201) -> None:
    await rig.start_agent(wait=False)
    assert rig.app is not None
    assert rig.app._device._device is None


@case(start=False)
async def test_a_fault_before_the_first_connection_is_told_with_its_own_time(rig: Rig201) -> None:
    await rig.csms.stop_listening()
    began = time.time()
    await rig.start_agent(wait=False)
    assert rig.app is not None
    line = rig.app._device.device().monitoring.line
    rig.hardware.fault(FaultCode.TILT)
    await rig.until(lambda: len(line) == 1)
    happened = time.time()
    await rig.csms.listen()
    message = await rig.expect("NotifyEvent")
    (data,) = message["eventData"]
    assert data["component"]["name"] == "TiltSensor"
    told = read_time(data["timestamp"])
    assert told is not None
    assert began - 1 <= told <= happened + 1
    await rig.until(lambda: len(line) == 0)


@case()
async def test_an_event_that_was_told_is_not_told_again_after_a_restart(rig: Rig201) -> None:
    rig.hardware.fault(FaultCode.TILT)
    await rig.expect("NotifyEvent")
    assert rig.app is not None
    line = rig.app._device.device().monitoring.line
    await rig.until(lambda: len(line) == 0)
    await rig.stop_agent()
    await rig.start_agent()
    await rig.silent("NotifyEvent", 0.8)
    assert await rig.variable("TiltSensor", "Active", evse={"id": 1}) == "true"
