"""A05: a higher security profile, by a network profile (B09, B10); another network behind another root (B10, M05)."""

from __future__ import annotations

from simulators import pki
from tests.tc201.csms201 import Csms201
from tests.tc201.rig import Rig201, case, replace
from tests.tc201.secure201 import Gate, install, moved, place, server_context
from tests.tc201.test_tc201_b import look_at, migrate, order, starts_again, write_slot

PASSWORD = "sixteen-or-more-letters"

with_password = case(change=lambda config: replace(config, ocpp=replace(config.ocpp, password=PASSWORD)))


@with_password
async def test_tc_a_19_cs_upgrade_of_the_security_profile(rig: Rig201) -> None:
    authority = pki.root("Network Root")
    assert await install(rig, authority) == "Accepted"
    async with Csms201(context=server_context(authority, place(rig))) as secure:
        secure.gate = Gate(PASSWORD)
        await migrate(rig, secure, level=2)  # A05.FR.04
        look_at(rig, secure)
        await rig.ready(after=0)  # A05.FR.05
        # A05.FR.06
        assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "2"
        assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "1"
        assert await order(rig, "0,1") == "Rejected"
        assert await write_slot(rig, 0, "ws://127.0.0.1:9/ocpp", level=1) == "Rejected"
        # It does not fall back to the lower one, whatever happens.
        assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
        await starts_again(rig, wait=False)
        await rig.ready()
        assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "2"
        await rig.stop_agent()


@with_password
async def test_tc_a_20_cs_upgrade_without_a_root_of_the_network(rig: Rig201) -> None:
    for level in (2, 3):
        assert await write_slot(rig, 1, "wss://127.0.0.1:9/ocpp", level=level) == "Accepted"
        assert await order(rig, "1,0") == "Rejected"  # A05.FR.02
    assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "0"


@with_password
async def test_tc_a_21_cs_upgrade_without_a_certificate_of_the_charging_station(rig: Rig201) -> None:
    assert await install(rig, pki.root("Network Root")) == "Accepted"
    assert await write_slot(rig, 1, "wss://127.0.0.1:9/ocpp", level=3) == "Accepted"
    assert await order(rig, "1,0") == "Rejected"  # A05.FR.03


@case(start=False)
async def test_tc_a_22_cs_downgrade_of_the_security_profile(rig: Rig201) -> None:
    authority = pki.root("Network Root")
    options = {"password": PASSWORD, "security_profile": 2, "ca_file": authority.file(place(rig))}
    async with moved(rig, server_context(authority, place(rig)), **options):
        await rig.start_agent()
        for slot in (0, 1):
            assert await write_slot(rig, slot, "ws://127.0.0.1:9/ocpp", level=1) == "Rejected"  # B09.FR.04
        assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "2"


@case(start=False)
async def test_tc_b_50_cs_migrate_to_a_new_network_behind_a_new_root(rig: Rig201) -> None:
    old, new = pki.root("Old Root"), pki.root("New Root")
    options = {"password": PASSWORD, "security_profile": 2}
    await rig.start_agent()
    assert await install(rig, old) == "Accepted"
    async with moved(rig, server_context(old, place(rig)), **options) as first:
        await rig.start_agent()
        assert await install(rig, new) == "Accepted"
        folder = place(rig) / "new"
        folder.mkdir()
        async with Csms201(context=server_context(new, folder)) as other:
            await migrate(rig, other, level=2)
            look_at(rig, other)
            await rig.ready(after=0)
            assert await rig.variable("OCPPCommCtrlr", "ActiveNetworkProfile") == "1"
            await rig.stop_agent()
            rig.csms = first


@case(start=False)
async def test_a_network_behind_an_unknown_root_is_no_way_and_the_old_one_comes_back(rig: Rig201) -> None:
    """B10.FR.03, B10.FR.07"""
    old, strange = pki.root("Old Root"), pki.root("Strange Root")
    options = {"password": PASSWORD, "security_profile": 2, "ca_file": old.file(place(rig))}
    async with moved(rig, server_context(old, place(rig)), **options):
        await rig.start_agent()
        await rig.configure(OCPPCommCtrlr__NetworkProfileConnectionAttempts="1")
        folder = place(rig) / "strange"
        folder.mkdir()
        async with Csms201(context=server_context(strange, folder)) as other:
            await migrate(rig, other, "1", level=2)
            await rig.ready()
            assert await rig.variable("OCPPCommCtrlr", "ActiveNetworkProfile") == "0"
            assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "0"
            assert other.seen == []
