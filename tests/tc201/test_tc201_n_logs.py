"""The cases of block N about logs, over a real websocket, with real transfers."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from simulators import pki
from simulators.fileserver import FileServer
from tests.tc16.test_tc16_firmware import now, updating
from tests.tc201.csms201 import Payload
from tests.tc201.rig import ID, Rig201, case
from tests.tc201.secure201 import install, place, server_context


async def get_log(rig: Rig201, number: int, location: str, kind: str = "SecurityLog", **more: Any) -> Payload:
    log = {"remoteLocation": location, **more.pop("log", {})}
    return await rig.call("GetLog", logType=kind, requestId=number, log=log, **more)


async def statuses(rig: Rig201, number: int, *words: str) -> None:
    for word in words:
        assert await rig.expect("LogStatusNotification") == {"status": word, "requestId": number}


@case(change=updating())
async def test_tc_n_25_cs_retrieve_the_diagnostics(rig: Rig201) -> None:
    """N01.FR.01, FR.02, FR.04, FR.07 to FR.09, FR.13"""
    with FileServer("ftp", user="support", password="pa55") as server:
        answer = await get_log(rig, 1, server.url("/in"), "DiagnosticsLog")
        assert answer["status"] == "Accepted"
        await statuses(rig, 1, "Uploading", "Uploaded")
        stored = server.files[f"/in/{answer['filename']}"]
    with tarfile.open(fileobj=io.BytesIO(stored)) as archive:
        found = {member.name.split("/")[1]: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert {"config.json", "settings.json", "status.json", "journal.json", "agent.json", "agent.log"} <= found.keys()
    assert json.loads(found["status.json"])["station"]["identity"] == ID
    assert b"pa55" not in b"".join(found.values())


@case(change=updating())
async def test_tc_n_26_cs_an_upload_that_fails(rig: Rig201) -> None:
    """N01.FR.10, after all tries"""
    with FileServer("http") as server:
        server.faults.refuse = [503, 503]
        answer = await get_log(rig, 2, server.url("/in"), "DiagnosticsLog", retries=1, retryInterval=0)
        assert answer["status"] == "Accepted"
        await statuses(rig, 2, "Uploading", "UploadFailure")
        assert server.verbs() == ["PUT", "PUT"]


@case(change=updating())
async def test_tc_n_35_cs_retrieve_the_security_log(rig: Rig201) -> None:
    """N01.FR.01 to FR.03, FR.07 to FR.09, FR.13"""
    with FileServer("http") as server:
        answer = await get_log(rig, 3, server.url("/logs"))
        assert answer["status"] == "Accepted"
        await statuses(rig, 3, "Uploading", "Uploaded")
        assert b"StartupOfTheDevice" in server.files[f"/logs/{answer['filename']}"]


@case(change=updating())
async def test_tc_n_36_cs_a_second_request_calls_off_the_first(rig: Rig201) -> None:
    """N01.FR.12, FR.20; what goes on is told on request (FR.13)"""
    with FileServer("http") as server:
        server.faults.refuse = [503] * 3
        first = await get_log(rig, 4, server.url("/logs"), "DiagnosticsLog", retries=3, retryInterval=3600)
        assert first["status"] == "Accepted"
        await statuses(rig, 4, "Uploading")
        assert await rig.call("TriggerMessage", requestedMessage="LogStatusNotification") == {"status": "Accepted"}
        await statuses(rig, 4, "Uploading")
        server.faults.refuse = []
        assert (await get_log(rig, 5, server.url("/logs")))["status"] == "AcceptedCanceled"
        await statuses(rig, 4, "AcceptedCanceled")
        await statuses(rig, 5, "Uploading", "Uploaded")
    await rig.call("TriggerMessage", requestedMessage="LogStatusNotification")
    assert await rig.expect("LogStatusNotification") == {"status": "Idle"}


@case(change=updating())
async def test_tc_n_34_cs_what_is_not_there_is_rejected(rig: Rig201) -> None:
    """N01.FR.05; an upload that is under way goes on"""
    with FileServer("http") as server:
        server.faults.refuse = [503]
        await get_log(rig, 6, server.url("/logs"), retries=1, retryInterval=1)
        answer = await get_log(rig, 7, server.url("/logs"), log={"oldestTimestamp": now(3600)})
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "NotFound")
        answer = await get_log(rig, 8, "file:///etc/passwd")
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue")
        await statuses(rig, 6, "Uploading", "Uploaded")


@case(change=updating(), versions=("ocpp2.1",))
async def test_a_log_that_only_2_1_knows_is_rejected(rig: Rig201) -> None:
    answer = await get_log(rig, 9, "http://127.0.0.1:9/logs", "DataCollectorLog")
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "UnsupportedParam")


@case(change=updating())
async def test_an_upload_cut_short_by_a_restart_is_told_as_failed(rig: Rig201) -> None:
    """N01.FR.10"""
    with FileServer("http") as server:
        server.faults.refuse = [503]
        await get_log(rig, 10, server.url("/in"), retries=1, retryInterval=3600)
        await statuses(rig, 10, "Uploading")
        await rig.until(lambda: len(server.requests) == 1)
        await rig.stop_agent()
        rig.mark()
        await rig.start_agent(wait=False)
        await statuses(rig, 10, "UploadFailure")


@case(change=updating())
async def test_roots_of_the_network_are_believed_for_files(rig: Rig201) -> None:
    """N01.FR.15"""
    authority = pki.root("Network Root")
    context = server_context(authority, place(rig))
    with FileServer("https", context) as server:
        await get_log(rig, 11, server.url("/logs"), retries=0)
        await statuses(rig, 11, "Uploading", "UploadFailure")
        assert await install(rig, authority) == "Accepted"
        await get_log(rig, 12, server.url("/logs"), retries=0)
        await statuses(rig, 12, "Uploading", "Uploaded")
