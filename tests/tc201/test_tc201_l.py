"""The cases of block L, firmware, over a real websocket, with real transfers and a real installer process."""

from __future__ import annotations

import time
from typing import Any

from agent.config.schema import KeyType
from agent.security.certificates import new_key, signing_request
from agent.update.local_file import LOCAL
from agent.update.order import Order
from simulators.fileserver import FileServer
from tests.tc16.test_tc16_firmware import CONFIRM, FIRMWARE, Signer, now, updating
from tests.tc201.csms201 import Payload
from tests.tc201.rig import Rig201, case

OTHER = b"other software\n" * 4000


async def update(rig: Rig201, number: int, firmware: Payload, **more: Any) -> Payload:
    return await rig.call("UpdateFirmware", requestId=number, firmware=firmware, **more)


async def ordered(rig: Rig201, number: int, firmware: Payload, word: str = "Accepted", **more: Any) -> None:
    assert await update(rig, number, firmware, **more) == {"status": word}


async def statuses(rig: Rig201, number: int, *words: str) -> None:
    """Wait for just these, each with the number of its request (L01.FR.10, L02.FR.06)."""
    for word in words:
        assert await rig.expect("FirmwareStatusNotification") == {"status": word, "requestId": number}


async def trusted(rig: Rig201) -> Signer:
    signer = Signer()
    answer = await rig.call(
        "InstallCertificate", certificateType="ManufacturerRootCertificate", certificate=signer.root.pem
    )
    assert answer == {"status": "Accepted"}
    return signer


def seen(rig: Rig201, evse: int) -> list[str]:
    return [one["connectorStatus"] for one in rig.sent("StatusNotification") if one["evseId"] == evse]


async def updated(rig: Rig201) -> None:
    await rig.expect("SecurityEventNotification", type="FirmwareUpdated")


SIGNED = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")


@case(evses=2, change=updating())
async def test_tc_l_01_cs_secure_update(rig: Rig201) -> None:
    """L01.FR.01, FR.04, FR.05, FR.09, FR.10, FR.12, FR.20, FR.21, FR.28, FR.31"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE), installDateTime=now(-7200))
        await ordered(rig, 5, order)
        await statuses(rig, 5, *SIGNED)
        await updated(rig)
    await rig.until(lambda: seen(rig, 1)[-2:] == ["Unavailable", "Available"])
    assert (rig.config.paths.state_dir / "installed").read_bytes() == FIRMWARE


@case(change=updating())
async def test_tc_l_02_cs_install_scheduled(rig: Rig201) -> None:
    """L01.FR.16"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        due = time.time() + 6.0
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE), installDateTime=now(6.0))
        await ordered(rig, 6, order)
        await statuses(rig, 6, "Downloading", "Downloaded", "SignatureVerified", "InstallScheduled", "Installing")
        assert time.time() >= due - 0.5
        await statuses(rig, 6, "Installed")


@case(change=updating())
async def test_tc_l_03_cs_download_scheduled(rig: Rig201) -> None:
    """L01.FR.13"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        due = time.time() + 6.0
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)) | {"retrieveDateTime": now(6.0)}
        await ordered(rig, 7, order)
        await statuses(rig, 7, "DownloadScheduled", "Downloading")
        assert time.time() >= due - 0.5
        await statuses(rig, 7, *SIGNED[1:])


@case(change=updating())
async def test_tc_l_05_cs_invalid_certificate(rig: Rig201) -> None:
    """L01.FR.02, FR.22"""
    await trusted(rig)
    stranger = Signer()
    order = stranger.order("http://127.0.0.1:9/fw.bin", stranger.signature(FIRMWARE))
    await ordered(rig, 8, order, "InvalidCertificate")
    await rig.expect("SecurityEventNotification", type="InvalidFirmwareSigningCertificate")
    await rig.silent("FirmwareStatusNotification")


@case(change=updating())
async def test_tc_l_06_cs_invalid_signature(rig: Rig201) -> None:
    """L01.FR.03, FR.04, FR.12"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE + b"!"
        await ordered(rig, 9, signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)))
        await statuses(rig, 9, "Downloading", "Downloaded", "InvalidSignature")
        await rig.expect("SecurityEventNotification", type="InvalidFirmwareSignature")
    assert not (rig.config.paths.state_dir / "installed").exists()


@case(change=updating())
async def test_tc_l_07_cs_download_failed(rig: Rig201) -> None:
    """L01.FR.14, FR.30, with one try more; the last status is told again on request (FR.26), over a restart too"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        order = signer.order(server.url("/no.bin"), signer.signature(FIRMWARE))
        server.faults.refuse = [503, 503]
        await ordered(rig, 10, order, retries=1, retryInterval=1)
        await statuses(rig, 10, "Downloading", "DownloadPaused", "Downloading", "DownloadFailed")
    for _ in range(2):
        answer = await rig.call("TriggerMessage", requestedMessage="FirmwareStatusNotification")
        assert answer == {"status": "Accepted"}
        await statuses(rig, 10, "DownloadFailed")
        await rig.stop_agent()
        await rig.start_agent()


@case(change=updating())
async def test_tc_l_08_cs_installation_failed(rig: Rig201) -> None:
    """L01.FR.29"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        for number, status, word in ((11, "1", "InstallationFailed"), (12, "11", "InstallVerificationFailed")):
            (rig.config.paths.state_dir / "exit").write_text(status)
            await ordered(rig, number, signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)))
            await statuses(rig, number, *SIGNED[:-1], word)
    await rig.until(lambda: seen(rig, 1)[-2:] == ["Unavailable", "Available"])


@case(change=updating())
async def test_tc_l_10_cs_another_update_takes_the_place(rig: Rig201) -> None:
    """L01.FR.24"""
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files |= {"/1.bin": FIRMWARE, "/2.bin": OTHER}
        server.faults.stall_after = [10_000]
        await ordered(rig, 13, signer.order(server.url("/1.bin"), signer.signature(FIRMWARE)))
        await statuses(rig, 13, "Downloading")
        await rig.until((rig.config.paths.state_dir / "update" / "image.part").exists)
        await ordered(rig, 14, signer.order(server.url("/2.bin"), signer.signature(OTHER)), "AcceptedCanceled")
        await statuses(rig, 14, *SIGNED)
    assert (rig.config.paths.state_dir / "installed").read_bytes() == OTHER


@case(change=updating(confirm=CONFIRM, health_s=15.0))
async def test_an_installation_under_way_cannot_be_called_off(rig: Rig201) -> None:
    """L01.FR.27, L02.FR.18; and it is told after the restart that it needs (L01.FR.15, FR.32)"""
    signer = await trusted(rig)
    (rig.config.paths.state_dir / "exit").write_text("10")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE))
        await ordered(rig, 15, order)
        await statuses(rig, 15, *SIGNED[:-1], "InstallRebooting")
        assert await rig.agent_left() == 75
        rig.mark()
        await rig.start_agent()
        answer = await update(rig, 16, order)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "FwUpdateInProgress")
        await statuses(rig, 15, "Installed")


@case(evses=2, change=updating(), settings={"ChargingStation.AllowNewSessionsPendingFirmwareUpdate": "true"})
async def test_tc_l_14_cs_new_sessions_while_the_installation_waits(rig: Rig201) -> None:
    """L01.FR.06, FR.07, FR.34"""
    signer = await trusted(rig)
    await rig.charge("CARD", 1)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await ordered(rig, 17, signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)))
        await statuses(rig, 17, *SIGNED[:-2], "InstallScheduled")
        await rig.charge("OTHER", 2)
        rig.hardware.unplug(1)
        await rig.event("Ended")
        await rig.silent("FirmwareStatusNotification")
        rig.hardware.unplug(2)
        await statuses(rig, 17, "Installing", "Installed")
    assert "Unavailable" not in seen(rig, 2)[:-2]
    await updated(rig)


@case(evses=2, change=updating())
async def test_tc_l_15_cs_idle_connectors_become_unavailable(rig: Rig201) -> None:
    """L01.FR.06, FR.07, FR.33"""
    signer = await trusted(rig)
    await rig.configure(ChargingStation__AllowNewSessionsPendingFirmwareUpdate="false")
    await rig.charge("CARD", 1)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await ordered(rig, 18, signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)))
        await statuses(rig, 18, *SIGNED[:-2], "InstallScheduled")
        await rig.status("Unavailable", 2)
        await rig.silent("FirmwareStatusNotification")
        rig.hardware.unplug(1)
        await statuses(rig, 18, "Installing", "Installed")
    await rig.until(lambda: seen(rig, 2)[-2:] == ["Unavailable", "Available"])
    await updated(rig)


@case(change=updating(unsigned=False))
async def test_tc_l_18_cs_no_certificate_and_signature(rig: Rig201) -> None:
    """L01.FR.11, FR.12; half of the two is refused in any case"""
    plain = {"location": "http://127.0.0.1:9/fw.bin", "retrieveDateTime": now()}
    answer = await update(rig, 19, plain)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "MissingParam")
    answer = await update(rig, 19, plain | {"signature": "AAAA"})
    assert answer["status"] == "Rejected"
    await rig.silent("FirmwareStatusNotification")


@case(change=updating())
async def test_an_update_without_signature(rig: Rig201) -> None:
    """L02.FR.01, FR.02, FR.06, FR.07, FR.10, FR.14, FR.15, FR.16, FR.20, where it is allowed (update.unsigned)"""
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        plain = {"location": server.url("/fw.bin"), "retrieveDateTime": now(3600)}
        await ordered(rig, 20, plain)
        await statuses(rig, 20, "DownloadScheduled")
        plain |= {"retrieveDateTime": now(), "installDateTime": now(4.0)}
        await ordered(rig, 21, plain, "AcceptedCanceled")
        await statuses(rig, 21, "Downloading", "Downloaded", "InstallScheduled", "Installing", "Installed")
        await updated(rig)
    await rig.call("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    assert await rig.expect("FirmwareStatusNotification") == {"status": "Idle"}


@case(evses=2, change=updating())
async def test_an_update_without_signature_waits_for_sessions(rig: Rig201) -> None:
    """L02.FR.03, FR.04, FR.22, FR.23"""
    await rig.charge("CARD", 1)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await ordered(rig, 22, {"location": server.url("/fw.bin"), "retrieveDateTime": now()})
        await statuses(rig, 22, "Downloading", "Downloaded", "InstallScheduled")
        await rig.status("Unavailable", 2)
        rig.hardware.unplug(1)
        await statuses(rig, 22, "Installing", "Installed")


@case(change=updating())
async def test_an_update_without_signature_that_fails(rig: Rig201) -> None:
    """L02.FR.08, FR.17, FR.19"""
    with FileServer("http") as server:
        await ordered(rig, 23, {"location": server.url("/no.bin"), "retrieveDateTime": now()}, retries=0)
        await statuses(rig, 23, "Downloading", "DownloadFailed")
    await rig.call("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    await statuses(rig, 23, "DownloadFailed")


@case(change=updating(confirm=CONFIRM, health_s=15.0))
async def test_an_update_without_signature_that_needs_a_restart(rig: Rig201) -> None:
    """L02.FR.09, FR.18, FR.21"""
    (rig.config.paths.state_dir / "exit").write_text("10")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        plain = {"location": server.url("/fw.bin"), "retrieveDateTime": now()}
        await ordered(rig, 24, plain)
        await statuses(rig, 24, "Downloading", "Downloaded", "Installing", "InstallRebooting")
        assert await rig.agent_left() == 75
        rig.mark()
        await rig.start_agent()
        assert (await update(rig, 25, plain))["status"] == "Rejected"
        await statuses(rig, 24, "Installed")


@case(change=updating())
async def test_what_happens_while_the_network_is_away_is_told_in_order(rig: Rig201) -> None:
    signer = await trusted(rig)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        server.faults.bytes_per_s = 60_000
        await ordered(rig, 26, signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE)))
        await statuses(rig, 26, "Downloading")
        app = rig.app
        assert app is not None
        await rig.until(lambda: len(app._files.notices) == 0)
        await rig.go_offline()
        installed = rig.config.paths.state_dir / "installed"
        await rig.until(installed.exists)
        await rig.go_online()
        await statuses(rig, 26, *SIGNED[1:])


@case(change=updating())
async def test_a_technicians_update_has_no_number_and_is_told_as_an_event_alone(rig: Rig201) -> None:
    """L01.FR.20: no status may go without the number of a request"""
    signer = await trusted(rig)
    file = rig.config.paths.state_dir / "fw.bin"
    file.write_bytes(FIRMWARE)
    assert rig.app is not None
    order = Order(f"{LOCAL}{file}", time.time(), certificate=signer.certificate, signature=signer.signature(FIRMWARE))
    rig.app._files.updates.order(order)
    await updated(rig)
    await rig.call("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    assert await rig.expect("FirmwareStatusNotification") == {"status": "Idle"}
    assert len(rig.sent("FirmwareStatusNotification")) == 1


@case()
async def test_what_is_not_offered_is_refused(rig: Rig201) -> None:
    """No installer here; L03 and L04 are a local controller's"""
    key = new_key(KeyType.P256)
    assert signing_request(key, "Nord", "firmware")
    answer = await update(rig, 27, {"location": "http://127.0.0.1:9/fw", "retrieveDateTime": now()})
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "UnsupportedRequest")
    publish = {"location": "http://127.0.0.1:9/fw", "checksum": "0" * 32, "requestId": 1}
    assert await rig.refused("PublishFirmware", **publish) == "NotSupported"
    assert await rig.refused("UnpublishFirmware", checksum="0" * 32) == "NotSupported"
    answer = await rig.call("TriggerMessage", requestedMessage="PublishFirmwareStatusNotification")
    assert answer["status"] == "NotImplemented"
