"""The Core cases, each over a real websocket, from reading the specification."""

from __future__ import annotations

from tests.tc16.rig import Rig, case


@case()
async def test_tc_003_regular_start_plug_first(rig: Rig) -> None:
    rig.hardware.plug(1)
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    assert (await rig.expect("Authorize")) == {"idTag": "CARD"}
    start = await rig.expect("StartTransaction")
    assert (start["connectorId"], start["idTag"]) == (1, "CARD")
    assert start["meterStart"] == 12_000
    await rig.status("Charging")
