"""network, ping, time, ocpp: over a terminal, with the real processes and the network behind them."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from technician import Technician

from agent.tools.network_probe import Question, ping, way
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.process import Lab

SETTINGS: dict[str, Any] = {"control.realtime_priority": 0, "ocpp.back_off_minimum_s": 0.2}


@pytest.fixture(scope="module")
def charger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charger]:
    directory = tmp_path_factory.mktemp("network") / "site"
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, SETTINGS, evses=1, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("control")
        charger.start("agent")
        charger.wait_accepted(60)
        yield charger


def socket_of(charger: Charger) -> Path:
    return charger.directory / "run" / "api.sock"


def console(charger: Charger) -> Technician:
    return Technician(["--socket", str(socket_of(charger))])


def batch(charger: Charger, *lines: str) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "agent.console", "--batch", "-", "--keep-going", "--socket", str(socket_of(charger))],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]


@pytest.mark.process
def test_the_way_to_the_network(charger):
    with console(charger) as technician:
        technician.wait("service> ")
        said = technician.do("network", r"tcp.*clock", 90)
        assert "pass" in said
        assert "127.0.0.1" in said
        port = int(charger.status()["uplink"]["url"].rsplit(":", 1)[1].split("/")[0])
        technician.do(f"ping 127.0.0.1 {port} --count 2", r"2\s+127.0.0.1: [0-9.]+ ms", 60)
        assert "FAIL" in technician.do("ping no-such-host.invalid 80", "name servers", 60)
        technician.do("ping ';reboot'", "is no host")


@pytest.mark.process
def test_the_clock_and_who_set_it(charger):
    with console(charger) as technician:
        technician.wait("service> ")
        technician.do("time", "confirmed by the network")
        technician.do("time set 2026-01-31T12:00:00Z", "told the time already")
        technician.do("time set noon", "is no time")


@pytest.mark.process
def test_the_link_its_latency_and_its_messages(charger):
    charger.wait_accepted()
    with console(charger) as technician:
        technician.wait("service> ")
        said = technician.do("ocpp", "Queue")
        assert "accepted since" in said
        assert "security profile 0, in use" in said
        assert "ms on average" in said
        technician.line("ocpp trace --count 2")
        technician.wait("as they pass")
        charger.call("link.set", online=False)
        charger.wait_for(lambda s: s["uplink"]["state"] == "offline_by_command", "offline")
        charger.call("link.set", online=True)
        technician.wait(r"-> \[2,.*<- \[3,")
        technician.wait("service> ")
        charger.wait_accepted()
        technician.do("ocpp offline", "is dropped")
        charger.wait_for(lambda s: s["uplink"]["state"] == "offline_by_command", "offline")
        technician.do("ocpp", "'ocpp online' lets it")
        technician.do("ocpp online", "may connect")
        charger.wait_accepted()


@pytest.mark.process
def test_as_json(charger):
    charger.wait_accepted()
    network, uplink, clock = batch(charger, "network --json", "ocpp --json", "time --json")
    assert {each["name"]: each["ok"] for each in network}["tcp"] is True
    assert uplink["state"] == "accepted"
    assert uplink["networks"][0]["in_use"]
    assert clock["synced"]


# ---- the probe against servers of every kind ----


def listen() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)
    return server


def certificate(folder: Path, name: str, begins: timedelta, ends: timedelta) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    one = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + one.public_bytes(serialization.Encoding.PEM))
    return path


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "begins", "ends", "known", "tls", "dates", "words"),
    [
        ("localhost", -DAY, 90 * DAY, True, True, True, ""),
        ("localhost", -DAY, 9 * DAY, True, True, True, "operator"),
        ("localhost", -9 * DAY, -DAY, True, False, False, "clock"),
        ("localhost", DAY, 9 * DAY, True, False, False, "clock"),
        ("elsewhere.example", -DAY, 90 * DAY, True, False, True, "another name"),
        ("localhost", -DAY, 90 * DAY, False, False, True, "ocpp.ca_file"),
    ],
)
def test_tls_is_judged_link_by_link(tmp_path, name, begins, ends, known, tls, dates, words):
    path = certificate(tmp_path, name, begins, ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = listen()

    def serve() -> None:
        for _ in range(2):
            try:
                link, _ = server.accept()
                with link, context.wrap_socket(link, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    roots = (str(path),) if known else (str(tmp_path / "none.pem"),)
    question = Question("way", "localhost", server.getsockname()[1], True, datetime.now(UTC).timestamp(), roots)
    found = {each.name: each for each in way(question)}
    server.close()
    thread.join(30)
    assert found["tcp"].ok
    assert found["tls"].ok is tls
    assert found["certificate"].ok is dates
    assert words in found["tls"].remedy + found["certificate"].remedy


def test_a_server_without_tls_and_one_that_is_not_there():
    server = listen()
    port = server.getsockname()[1]

    def serve() -> None:
        link, _ = server.accept()
        with link:
            link.recv(100)
            link.sendall(b"HTTP/1.0 400 no\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    last = list(way(Question("way", "127.0.0.1", port, True, None)))[-1]
    thread.join(30)
    server.close()
    assert (last.name, last.ok) == ("tls", False)
    last = list(way(Question("way", "127.0.0.1", port)))[-1]
    assert (last.name, last.ok) == ("tcp", False)
    assert "refused" in last.text


def test_a_name_that_nobody_knows():
    last = list(way(Question("way", "no-such-host.invalid", 443)))[-1]
    assert (last.name, last.ok) == ("name", False)
    assert "ocpp.url" in last.remedy


def test_an_echo_or_why_there_is_none():
    found = list(ping(Question("ping", "127.0.0.1", count=1)))
    assert found[0].ok
    assert found[-1].ok is not False  # sent, or not allowed here
