"""Firmware, diagnostics and logs over a real websocket, with real transfers and a real installer process."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.config.schema import Config, Files, KeyType, Update
from agent.security.certificates import new_key, signing_request
from agent.update.local_file import LOCAL
from agent.update.order import Order
from simulators import pki
from simulators.fileserver import FileServer
from tests.tc16.rig import ID, Rig, case

FIRMWARE = b"new software\n" * 5000

INSTALL = (
    sys.executable,
    "-c",
    "import sys, pathlib, shutil\n"
    "file, place = map(pathlib.Path, sys.argv[1:])\n"
    "shutil.copy(file, place / 'installed')\n"
    "sys.exit(int((place / 'exit').read_text()) if (place / 'exit').exists() else 0)\n",
    "{file}",
    "{state_dir}",
)
"""Copies what it got to ``installed`` in the state folder; ends as the file ``exit`` there says."""

CONFIRM = (sys.executable, "-c", "import sys; sys.exit(0)")


def updating(**options: Any) -> Any:
    def change(config: Config) -> Config:
        files = Files(loopback=True, stall_timeout_s=5.0, retries=0, retry_interval_s=0.0)
        return replace(config, files=files, update=Update(install=INSTALL, **options))

    return change


def now(offset_s: float = -10.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat().replace("+00:00", "Z")


async def told(rig: Rig, action: str, after: int = 0, **fields: Any) -> None:
    """It came, or comes: between the notices of an update other messages find their own order."""
    await rig.csms.wait_for(action, fields, after=after, charge_point=ID, timeout_s=10.0)


def _seen(rig: Rig, connector: int) -> list[str]:
    return [one["status"] for one in rig.sent("StatusNotification") if one["connectorId"] == connector]


async def statuses(rig: Rig, *words: str, action: str = "FirmwareStatusNotification", **fields: Any) -> None:
    for word in words:
        payload = await rig.expect(action)
        assert payload == {"status": word, **fields}, (word, payload)


@case(evses=2, change=updating())
async def test_tc_044_1_firmware_update_download_and_install(rig: Rig) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        assert await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now()) == {}
        await statuses(rig, "Downloading", "Downloaded", "Installing", "Installed")
        assert server.verbs() == ["GET"]
    await rig.until(lambda: _seen(rig, 1)[-2:] == ["Unavailable", "Available"])
    assert not (rig.config.paths.state_dir / "update" / "image").exists()
    await told(rig, "SecurityEventNotification", type="FirmwareUpdated")


@case(change=updating())
async def test_tc_044_2_firmware_update_download_failed(rig: Rig) -> None:
    with FileServer("ftp") as server:
        assert await rig.call("UpdateFirmware", location=server.url("/no.bin"), retrieveDate=now(), retries=1) == {}
        await statuses(rig, "Downloading", "Downloading", "DownloadFailed")
    await rig.silent("StatusNotification")


@case(change=updating())
async def test_tc_044_3_firmware_update_installation_failed(rig: Rig) -> None:
    (rig.config.paths.state_dir / "exit").write_text("1")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await statuses(rig, "Downloading", "Downloaded", "Installing", "InstallationFailed")
    await rig.until(lambda: _seen(rig, 1)[-2:] == ["Unavailable", "Available"])


@case(evses=2, change=updating())
async def test_tc_044_an_installation_waits_for_the_session_and_idle_connectors_are_unavailable(rig: Rig) -> None:
    number = await rig.charge("CARD", 1)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await statuses(rig, "Downloading", "Downloaded")
        await told(rig, "StatusNotification", connectorId=2, status="Unavailable")
        assert await rig.call("RemoteStartTransaction", idTag="OTHER", connectorId=2) == {"status": "Rejected"}
        await rig.silent("FirmwareStatusNotification")
        rig.hardware.unplug(1)
        stop = await rig.expect("StopTransaction", transactionId=number)
        assert stop["reason"] == "EVDisconnected"
        await statuses(rig, "Installing", "Installed")
    await rig.until(lambda: _seen(rig, 2)[-2:] == ["Unavailable", "Available"])


@case(change=updating(confirm=CONFIRM, health_s=15.0))
async def test_tc_044_a_new_version_that_needs_a_restart_is_told_after_it(rig: Rig) -> None:
    (rig.config.paths.state_dir / "exit").write_text("10")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await statuses(rig, "Downloading", "Downloaded", "Installing")
        assert await rig.agent_left() == 75
        rig.mark()
        await rig.start_agent(wait=False)
        await statuses(rig, "Installed")


@case(change=updating(confirm=(sys.executable, "-c", "import sys; sys.exit(1)"), health_s=15.0))
async def test_tc_044_a_new_version_that_did_not_start_is_told_as_failed(rig: Rig) -> None:
    """The boot loader, or the check before the start, has put the old one back: ``confirm`` says no."""
    (rig.config.paths.state_dir / "exit").write_text("10")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        assert await rig.agent_left() == 75
        rig.mark()
        await rig.start_agent(wait=False)
        await statuses(rig, "InstallationFailed")
    assert rig.app is not None
    await rig.until(lambda: _seen(rig, 1)[-1] == "Available")


ROLL_BACK = (sys.executable, "-c", "import sys, pathlib; pathlib.Path(sys.argv[1], 'back').touch()", "{state_dir}")


@case(change=updating(confirm=CONFIRM, roll_back=ROLL_BACK, health_s=1.0))
async def test_tc_044_a_new_version_without_its_network_is_taken_back(rig: Rig) -> None:
    place = rig.config.paths.state_dir
    (place / "exit").write_text("10")
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        assert await rig.agent_left() == 75
        await rig.csms.stop_listening()
        await rig.start_agent(wait=False)
        assert await rig.agent_left() == 75
    assert (place / "back").exists()
    rig.mark()
    await rig.csms.listen()
    await rig.start_agent(wait=False)
    await told(rig, "FirmwareStatusNotification", rig.cursor, status="InstallationFailed")


@case(change=updating())
async def test_tc_044_what_happens_while_the_network_is_away_is_told_in_order(rig: Rig) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        server.faults.bytes_per_s = 60_000
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await statuses(rig, "Downloading")
        await rig.go_offline()
        image = rig.config.paths.state_dir / "update" / "image"
        await rig.until(image.exists)
        await rig.until(lambda: not image.exists())
        await rig.go_online()
        await statuses(rig, "Downloaded", "Installing", "Installed")


@case(change=updating())
async def test_tc_044_a_broken_download_goes_on_after_a_restart_of_the_agent(rig: Rig) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        server.faults.cut_after = [20_000]
        await rig.call(
            "UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now(), retries=3, retryInterval=3600
        )
        await statuses(rig, "Downloading")
        part = rig.config.paths.state_dir / "update" / "image.part"
        await rig.until(lambda: len(server.requests) == 1 and part.exists() and part.stat().st_size == 20_000)
        await rig.stop_agent()
        rig.mark()
        await rig.start_agent(wait=False)
        await statuses(rig, "Downloading", "Downloaded", "Installing", "Installed")
        assert server.requests[-1][2] == "bytes=20000-"


@case(change=updating())
async def test_tc_045_1_get_diagnostics(rig: Rig) -> None:
    with FileServer("ftp", user="support", password="pa55") as server:
        answer = await rig.call("GetDiagnostics", location=server.url("/in"))
        name = answer["fileName"]
        await statuses(rig, "Uploading", "Uploaded", action="DiagnosticsStatusNotification")
        stored = server.files[f"/in/{name}"]
    with tarfile.open(fileobj=io.BytesIO(stored)) as archive:
        found = {member.name.split("/")[1]: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert {"config.json", "settings.json", "status.json", "journal.json", "agent.json", "agent.log"} <= found.keys()
    assert json.loads(found["status.json"])["station"]["identity"] == "CP-TC16"
    assert json.loads(found["journal.json"])["pending"] == 0
    assert "websockets" in json.loads(found["versions.json"])
    assert b"pa55" not in b"".join(found.values())


@case(change=updating())
async def test_tc_045_2_get_diagnostics_upload_failed(rig: Rig) -> None:
    with FileServer("http") as server:
        server.faults.refuse = [503, 503]
        location = server.url("/in")
        assert "fileName" in await rig.call("GetDiagnostics", location=location, retries=1, retryInterval=0)
        await statuses(rig, "Uploading", "UploadFailed", action="DiagnosticsStatusNotification")
        assert server.verbs() == ["PUT", "PUT"]
    far = now(3600)
    assert await rig.call("GetDiagnostics", location=location, startTime=far) == {}
    await rig.silent("DiagnosticsStatusNotification")


@case(change=updating())
async def test_tc_079_get_security_log(rig: Rig) -> None:
    with FileServer("http") as server:
        log = {"remoteLocation": server.url("/logs")}
        answer = await rig.call("GetLog", logType="SecurityLog", requestId=7, log=log)
        assert answer["status"] == "Accepted"
        await statuses(rig, "Uploading", "Uploaded", action="LogStatusNotification", requestId=7)
        assert b"StartupOfTheDevice" in server.files[f"/logs/{answer['filename']}"]
        # A second request calls off the first one.
        server.faults.stall_after = []
        server.faults.refuse = [503] * 3
        slow = {"retries": 3, "retryInterval": 3600, "log": log}
        assert (await rig.call("GetLog", logType="DiagnosticsLog", requestId=8, **slow))["status"] == "Accepted"
        await statuses(rig, "Uploading", action="LogStatusNotification", requestId=8)
        server.faults.refuse = []
        answer = await rig.call("GetLog", logType="SecurityLog", requestId=9, log=log)
        assert answer["status"] == "AcceptedCanceled"
        await statuses(rig, "Uploading", "Uploaded", action="LogStatusNotification", requestId=9)
    wrong = {"remoteLocation": "file:///etc/passwd"}
    assert await rig.call("GetLog", logType="SecurityLog", requestId=10, log=wrong) == {"status": "Rejected"}


class Signer:
    """A manufacturer: a root, and a certificate that signs firmware."""

    def __init__(self) -> None:
        self.root = pki.root("Manufacturer Root")
        self._key = new_key(KeyType.P256)
        self.certificate = self.root.sign(signing_request(self._key, "Nord", "firmware"))

    def signature(self, data: bytes) -> str:
        key = serialization.load_pem_private_key(self._key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()

    def order(self, location: str, signature: str, **more: Any) -> dict[str, Any]:
        return {
            "location": location,
            "retrieveDateTime": now(),
            "signingCertificate": self.certificate,
            "signature": signature,
            **more,
        }


async def trust(rig: Rig, signer: Signer) -> None:
    answer = await rig.call(
        "InstallCertificate", certificateType="ManufacturerRootCertificate", certificate=signer.root.pem
    )
    assert answer == {"status": "Accepted"}


SIGNED = "SignedFirmwareStatusNotification"


@case(change=updating())
async def test_tc_080_secure_firmware_update(rig: Rig) -> None:
    signer = Signer()
    await trust(rig, signer)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE))
        assert await rig.call("SignedUpdateFirmware", requestId=5, firmware=order) == {"status": "Accepted"}
        words = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
        await statuses(rig, *words, action=SIGNED, requestId=5)
    await told(rig, "SecurityEventNotification", type="FirmwareUpdated")


@case(change=updating())
async def test_tc_080_dates_are_kept_and_another_order_takes_the_place(rig: Rig) -> None:
    signer = Signer()
    await trust(rig, signer)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        later = signer.order(server.url("/old.bin"), signer.signature(FIRMWARE)) | {"retrieveDateTime": now(3600)}
        assert await rig.call("SignedUpdateFirmware", requestId=1, firmware=later) == {"status": "Accepted"}
        await statuses(rig, "DownloadScheduled", action=SIGNED, requestId=1)
        order = signer.order(server.url("/fw.bin"), signer.signature(FIRMWARE), installDateTime=now(6.0))
        assert await rig.call("SignedUpdateFirmware", requestId=2, firmware=order) == {"status": "AcceptedCanceled"}
        before = time.monotonic()
        words = ("Downloading", "Downloaded", "SignatureVerified", "InstallScheduled", "Installing", "Installed")
        await statuses(rig, *words, action=SIGNED, requestId=2)
        assert time.monotonic() - before > 0.5
        assert [path for _, path, _ in server.requests] == ["/fw.bin"]


@case(change=updating())
async def test_tc_080_a_download_that_runs_is_called_off_by_another_order(rig: Rig) -> None:
    signer, other = Signer(), b"other software\n" * 4000
    await trust(rig, signer)
    with FileServer("http") as server:
        server.files |= {"/1.bin": FIRMWARE, "/2.bin": other}
        server.faults.stall_after = [10_000]
        order = signer.order(server.url("/1.bin"), signer.signature(FIRMWARE))
        assert await rig.call("SignedUpdateFirmware", requestId=1, firmware=order) == {"status": "Accepted"}
        await statuses(rig, "Downloading", action=SIGNED, requestId=1)
        part = rig.config.paths.state_dir / "update" / "image.part"
        await rig.until(part.exists)
        order = signer.order(server.url("/2.bin"), signer.signature(other))
        assert await rig.call("SignedUpdateFirmware", requestId=2, firmware=order) == {"status": "AcceptedCanceled"}
        words = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
        await statuses(rig, *words, action=SIGNED, requestId=2)
    assert (rig.config.paths.state_dir / "installed").read_bytes() == other
    assert _transfers() == []


def _transfers() -> list[int]:
    """Transfer processes of this test that still run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if b"agent.files.worker" in words and parent == os.getpid():
            found.append(int(place.name))
    return found


@case(change=updating())
async def test_an_agent_that_leaves_takes_its_transfers_along(rig: Rig) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        server.faults.stall_after = [10_000]
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await rig.until(lambda: len(server.requests) == 1)
        assert len(_transfers()) == 1
        await rig.stop_agent()
        assert _transfers() == []


@case(change=updating())
async def test_tc_045_an_upload_cut_short_by_a_restart_is_told_as_failed(rig: Rig) -> None:
    with FileServer("http") as server:
        server.faults.refuse = [503]
        await rig.call("GetDiagnostics", location=server.url("/in"), retries=1, retryInterval=3600)
        await statuses(rig, "Uploading", action="DiagnosticsStatusNotification")
        await rig.until(lambda: len(server.requests) == 1)
        await rig.stop_agent()
        rig.mark()
        await rig.start_agent(wait=False)
        await statuses(rig, "UploadFailed", action="DiagnosticsStatusNotification")


@case(evses=2, change=updating())
async def test_what_the_operator_wants_meanwhile_holds_after_the_update(rig: Rig) -> None:
    await rig.charge("CARD", 1)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        await rig.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=now())
        await told(rig, "StatusNotification", connectorId=2, status="Unavailable")
        assert rig.app is not None
        assert "updating" in {one["code"] for one in rig.app.status()["evses"][1]["reasons"]}
        answer = await rig.call("ChangeAvailability", connectorId=2, type="Inoperative")
        assert answer == {"status": "Accepted"}
        rig.hardware.unplug(1)
        await told(rig, "FirmwareStatusNotification", status="Installed")
    await rig.until(lambda: _seen(rig, 1)[-1] == "Available")
    assert [one["status"] for one in rig.app.status()["evses"]] == ["Available", "Unavailable"]
    assert await rig.call("ChangeAvailability", connectorId=2, type="Operative") == {"status": "Accepted"}
    await rig.until(lambda: _seen(rig, 2)[-1] == "Available")


@case(change=updating())
async def test_tc_081_secure_firmware_update_invalid_signature(rig: Rig) -> None:
    signer, stranger = Signer(), Signer()
    await trust(rig, signer)
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE + b"!"
        location = server.url("/fw.bin")
        order = signer.order(location, signer.signature(FIRMWARE))
        assert await rig.call("SignedUpdateFirmware", requestId=6, firmware=order) == {"status": "Accepted"}
        await statuses(rig, "Downloading", "Downloaded", "InvalidSignature", action=SIGNED, requestId=6)
        await told(rig, "SecurityEventNotification", type="InvalidFirmwareSignature")
        wrong = stranger.order(location, stranger.signature(FIRMWARE))
        assert await rig.call("SignedUpdateFirmware", requestId=7, firmware=wrong) == {"status": "InvalidCertificate"}
        await told(rig, "SecurityEventNotification", type="InvalidFirmwareSigningCertificate")
    await rig.silent(SIGNED)


@case(change=updating())
async def test_a_technicians_signed_update_is_told_in_the_words_for_one_without_number(rig: Rig) -> None:
    """§7.25: the network gave no number, so the signed variant's words would not fit any message."""
    signer = Signer()
    await trust(rig, signer)
    (rig.config.paths.state_dir / "fw.bin").write_bytes(FIRMWARE)
    assert rig.app is not None
    location = f"{LOCAL}{rig.config.paths.state_dir / 'fw.bin'}"
    order = Order(location, time.time(), certificate=signer.certificate, signature=signer.signature(FIRMWARE))
    rig.app._files.updates.order(order)
    await statuses(rig, "Downloading", "Downloaded", "Installing", "Installed")


@case(change=updating())
async def test_tc_054_triggered_file_statuses(rig: Rig) -> None:
    for message in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
        assert await rig.call("TriggerMessage", requestedMessage=message) == {"status": "Accepted"}
        assert await rig.expect(message) == {"status": "Idle"}
    pairs = {"FirmwareStatusNotification": SIGNED, "LogStatusNotification": "LogStatusNotification"}
    for message, sent in pairs.items():
        assert await rig.call("ExtendedTriggerMessage", requestedMessage=message) == {"status": "Accepted"}
        assert await rig.expect(sent) == {"status": "Idle"}


@case()
async def test_without_an_installer_an_update_is_refused(rig: Rig) -> None:
    assert await rig.refused("UpdateFirmware", location="http://192.0.2.1/fw", retrieveDate=now()) == "NotSupported"
    order = Signer().order("http://192.0.2.1/fw", "AAAA")
    assert await rig.call("SignedUpdateFirmware", requestId=6, firmware=order) == {"status": "Rejected"}


@case(change=updating())
async def test_the_offered_protocols_stand_in_the_configuration(rig: Rig) -> None:
    assert await rig.configuration("SupportedFileTransferProtocols") == "FTP,FTPS,HTTP,HTTPS"
    assert "FirmwareManagement" in (await rig.configuration("SupportedFeatureProfiles")).split(",")
    bad = "sftp://192.0.2.1/fw"
    assert await rig.refused("UpdateFirmware", location=bad, retrieveDate=now()) == "PropertyConstraintViolation"
    assert await rig.refused("GetDiagnostics", location="file:///tmp") == "PropertyConstraintViolation"
