"""Signing certificates and signatures, and the commands that an update runs."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from agent.config.schema import KeyType
from agent.security.certificates import new_key, signing_request
from agent.update.commands import result_of, run
from agent.update.order import InstallResult
from agent.update.verify import Question, Verdict, answer
from simulators import pki

DATA = b"firmware" * 1000


class Maker:
    def __init__(self, place: Path, kind: KeyType = KeyType.P256) -> None:
        self.root = pki.root("Manufacturer Root")
        self.roots = (str(self.root.file(place, "maker")),)
        self.key_pem = new_key(kind)
        self.certificate = self.root.sign(signing_request(self.key_pem, "Nord", "fw"))
        self.file = place / "image"
        self.file.write_bytes(DATA)

    def key(self) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self.key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        return key

    def ask(self, made: bytes = b"", **fields: object) -> Verdict:
        values: dict[str, object] = {
            "certificate": self.certificate,
            "roots": self.roots,
            "utc_s": time.time(),
            "file": str(self.file) if made else "",
            "signature": base64.b64encode(made).decode(),
            **fields,
        }
        return answer(Question(**values))[0]  # type: ignore[arg-type]


def test_a_signature_by_an_elliptic_curve(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    key = maker.key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    good = key.sign(DATA, ec.ECDSA(hashes.SHA256()))
    assert maker.ask(good) is Verdict.GOOD
    assert maker.ask(good[:-1]) is Verdict.INVALID_SIGNATURE
    assert maker.ask(key.sign(DATA, ec.ECDSA(hashes.SHA384()))) is Verdict.INVALID_SIGNATURE
    assert maker.ask(good, signature="§") is Verdict.INVALID_SIGNATURE
    maker.file.write_bytes(DATA + b"!")
    assert maker.ask(good) is Verdict.INVALID_SIGNATURE
    maker.file.unlink()
    assert maker.ask(good) is Verdict.INVALID_SIGNATURE


def test_signatures_by_rsa_in_both_paddings(tmp_path: Path) -> None:
    maker = Maker(tmp_path, KeyType.RSA2048)
    key = maker.key()
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    assert maker.ask(key.sign(DATA, pss, hashes.SHA256())) is Verdict.GOOD
    assert maker.ask(key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())) is Verdict.GOOD
    assert maker.ask(key.sign(DATA + b"!", pss, hashes.SHA256())) is Verdict.INVALID_SIGNATURE


def test_certificates_that_are_not_taken(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    request = signing_request(maker.key_pem, "Nord", "fw")
    other = pki.root("Manufacturer Root")
    assert maker.ask() is Verdict.GOOD
    assert maker.ask(roots=()) is Verdict.INVALID_CERTIFICATE
    assert maker.ask(certificate=other.sign(request)) is Verdict.INVALID_CERTIFICATE
    expired = maker.root.sign(request, days=1, since=timedelta(days=-9))
    assert maker.ask(certificate=expired) is Verdict.INVALID_CERTIFICATE
    # Without a clock nobody can judge dates; the signature is what counts.
    assert maker.ask(certificate=expired, utc_s=None) is Verdict.GOOD
    # L01: no intermediate certificates.
    middle = maker.root.intermediate("between")
    assert maker.ask(certificate=middle.sign(request)) is Verdict.INVALID_CERTIFICATE
    for garbage in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ü"):
        assert maker.ask(certificate=garbage) is Verdict.INVALID_CERTIFICATE


def test_a_revoked_certificate_is_told_from_a_bad_one(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    serial = x509.load_pem_x509_certificate(maker.certificate.encode()).serial_number
    now = datetime.now(UTC)
    begun = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(maker.root.certificate.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=1))
    )
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
    path = tmp_path / "crl.pem"
    for crl, verdict in (
        (begun.sign(maker.root.key, hashes.SHA256()), Verdict.GOOD),
        (begun.add_revoked_certificate(entry).sign(maker.root.key, hashes.SHA256()), Verdict.REVOKED_CERTIFICATE),
        (begun.sign(pki.new_key(), hashes.SHA256()), Verdict.INVALID_CERTIFICATE),
    ):
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        assert maker.ask(crl_file=str(path)) is verdict
    path.write_bytes(b"garbage")
    assert maker.ask(crl_file=str(path)) is Verdict.INVALID_CERTIFICATE


# ---- commands ----


def test_a_command_gets_its_words_without_a_shell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    out = tmp_path / "out"
    code = f"import sys; open({str(out)!r}, 'w').write(repr(sys.argv[1:])); print('hello'); sys.exit(10)"
    command = (sys.executable, "-c", code, "{file}", "$(id); `id`", "a b")
    assert asyncio.run(run(command, 30, file="/x y")) == 10
    assert out.read_text() == repr(["/x y", "$(id); `id`", "a b"])
    assert "hello" in caplog.text


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {mark}; wait"
    assert asyncio.run(run(("/bin/sh", "-c", script), 1.0)) is None
    pid = int(mark.read_text())
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or b"\nState:\tZ" in Path(f"/proc/{pid}/status").read_bytes():
            break
        time.sleep(0.02)
    else:
        os.kill(pid, 9)
        raise AssertionError("a child of the command lives on")


def test_what_cannot_be_started_is_a_failure() -> None:
    assert asyncio.run(run(("/no/such/installer",), 5)) is None
    pairs = {0: "installed", 10: "restart_needed", 11: "verification_failed", 1: "failed", None: "failed", -9: "failed"}
    assert {status: result_of(status) for status in pairs} == {k: InstallResult(v) for k, v in pairs.items()}
