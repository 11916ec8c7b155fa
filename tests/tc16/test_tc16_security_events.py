"""Security events, renewal and fallback of certificates, over a real websocket."""

from __future__ import annotations

import subprocess
import sys

from simulators import pki
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.security import Tls
from tests.tc16.rig import ID, Rig, case
from tests.tc16.test_tc16_security import certificate, handshake, install, ocpp, place, settled, tls


async def kinds(rig: Rig, count: int) -> list[str]:
    await rig.csms.wait_for("SecurityEventNotification", count=count)
    return [payload["type"] for payload in rig.sent("SecurityEventNotification")]


@case(start=False)
async def test_a_start_and_a_reset_are_told(rig: Rig) -> None:
    await rig.start_agent()
    first = await rig.expect("SecurityEventNotification", type="StartupOfTheDevice")
    assert first["techInfo"].startswith("evse-agent ")
    await rig.call("Reset", type="Soft")
    await rig.agent_left()
    await rig.start_agent(wait=False)
    assert await kinds(rig, 3) == ["StartupOfTheDevice", "ResetOrReboot", "StartupOfTheDevice"]


@case(start=False)
async def test_events_wait_while_the_network_is_away_and_are_told_once(rig: Rig) -> None:
    await rig.csms.stop_listening()
    for _ in range(2):
        await rig.start_agent(wait=False)
        app = rig.app
        assert app is not None
        await rig.until(lambda app=app: bool(app.status()["uplink"]["last_error"]))
        await rig.stop_agent()
    await rig.csms.listen()
    rig.csms.behaviour.add("SecurityEventNotification", AnswerRule(Mode.NORMAL, 2))
    rig.csms.behaviour.add("SecurityEventNotification", AnswerRule(Mode.ERROR, 1, error_code="InternalError"))
    await rig.start_agent()
    assert await kinds(rig, 3) == ["StartupOfTheDevice"] * 3
    # The one that was refused is tried again after a while, here: after the next connection.
    await rig.go_offline()
    await rig.go_online()
    assert await kinds(rig, 4) == ["StartupOfTheDevice"] * 4
    rig.mark()
    await rig.silent("SecurityEventNotification")


@case()
async def test_a_network_without_the_extension_is_left_alone(rig: Rig) -> None:
    await kinds(rig, 1)
    rig.csms.behaviour.add("SecurityEventNotification", AnswerRule(Mode.ERROR, None, error_code="NotImplemented"))
    app = rig.app
    assert app is not None
    app._security.clear_log()
    assert await kinds(rig, 2) == ["StartupOfTheDevice", "SecurityLogWasCleared"]
    app._security.clear_log()
    await rig.charge()
    assert len(rig.sent("SecurityEventNotification")) == 2
    await rig.until(lambda: len(app._security.line) == 0)


@case(anomalies=("answer-to-nothing", "malformed-frame"))
async def test_what_cannot_be_read_is_in_the_log(rig: Rig) -> None:
    await rig.csms.send_text("{not json", ID)
    await rig.csms.send_text('[2,"1","NoSuchAction",{}]', ID)
    await rig.call("ClearCache")
    log = (place(rig) / "security" / "security.log").read_text()
    assert log.count(" InvalidMessages ") == 1


@case(start=False)
async def test_a_certificate_is_renewed_before_it_expires(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    await rig.start_agent()
    await rig.configure(CpoName="Nordstrom")
    await rig.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
    csr = (await rig.expect("SignCertificate"))["csr"]
    chain = operator.sign(csr, days=20, since=-15 * pki.DAY)
    assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Accepted"}
    await rig.stop_agent()
    await rig.start_agent()
    renewal = (await rig.expect("SignCertificate"))["csr"]
    assert renewal != csr
    chain = operator.sign(renewal, days=365)
    assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Accepted"}
    await rig.stop_agent()
    await rig.start_agent()
    await rig.call("ClearCache")
    await rig.silent("SignCertificate")


@case(start=False)
async def test_without_cpo_name_no_certificate_is_asked_for(rig: Rig) -> None:
    await rig.start_agent()
    answer = await rig.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
    assert answer == {"status": "Rejected"}


@case(start=False)
async def test_a_new_certificate_that_is_refused_leaves_the_old_one(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    authority = await tls(rig, client=operator)
    await rig.start_agent()
    await rig.configure(CpoName="Nordstrom")
    assert await install(rig, authority) == "Accepted"
    first = await certificate(rig, operator)
    await rig.configure(SecurityProfile="3")
    good = (await handshake(rig, 2)).serial_number
    await settled(rig, "3")
    await certificate(rig, pki.root("Another Operator"))
    assert (await handshake(rig, 3)).serial_number == good
    assert first


@case(start=False)
async def test_the_networks_name_may_stand_in_cn_alone(rig: Rig) -> None:
    """White paper A00.FR.309: the FQDN is in the CN. A name elsewhere is refused: TC_078."""
    authority = await tls(rig)
    endpoint = Tls(*authority.server(place(rig), hosts=(), common_name="localhost"))
    address = await rig.csms.listen_tls(endpoint)
    ocpp(rig, tls_url=address.replace("127.0.0.1", "localhost"))
    await rig.start_agent()
    assert await install(rig, authority) == "Accepted"
    await rig.configure(AuthorizationKey="sixteen-or-more-letters", SecurityProfile="2")
    assert (await handshake(rig, 2)).tls
    await settled(rig, "2")


def test_cryptography_is_not_loaded_before_a_certificate_is_spoken_of() -> None:
    code = "import sys, agent.app, agent.ocpp.v16.session; print([m for m in sys.modules if m.startswith('cryptogr')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "[]"
