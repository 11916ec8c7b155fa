"""Certificates in custody: what is taken, what is refused, what stays on the disk and how."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509

from agent.clock import Clock
from agent.config.schema import KeyType
from agent.journal.journal import Journal
from agent.security.certificates import CertificateError, CertificateHash, HashAlgorithm, read_chain
from agent.security.custody import (
    DeleteAnswer,
    InstallAnswer,
    delete,
    install_root,
    installed,
    pending_number,
    request_certificate,
    take_certificate,
)
from agent.security.files import SecretFileError, write_secret
from agent.security.security import Security
from agent.security.store import RootUse
from agent.security.tls import client_context, dates_problem
from simulators import pki

MOST = 10


@pytest.fixture
def security(tmp_path: Path):
    journal = Journal.open(tmp_path / "journal.db", "boot-1")
    yield Security(tmp_path / "security", journal, Clock(boot="boot-1"))
    journal.close()


def install(security: Security, authority: pki.Authority, *, check: bool = False, most: int = MOST) -> InstallAnswer:
    return install_root(security, RootUse.CENTRAL, authority.pem, additional_check=check, most=most)


def signed(security: Security, authority: pki.Authority, days: float = 90.0, since_days: float = -1.0) -> bool:
    csr = request_certificate(security, KeyType.P256, "Operator", "SN-1")
    chain = authority.sign(csr, days=days, since=since_days * pki.DAY)
    return take_certificate(security, chain, "Operator", "SN-1", most=10_000)


def test_a_secret_file_is_private_and_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "key.pem"
    write_secret(path, b"one")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    (path.parent / ".key.pem.partial").write_bytes(b"left by a power cut")

    def fail(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("agent.durable.os.fsync", fail)
    with pytest.raises(SecretFileError, match=r"key\.pem"):
        write_secret(path, b"two")
    assert path.read_bytes() == b"one"
    monkeypatch.undo()
    write_secret(path, b"three")
    assert path.read_bytes() == b"three"
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]


def test_the_store_has_a_limit_and_a_repeat_costs_nothing(security: Security) -> None:
    roots = [pki.root(f"Root {number}") for number in range(4)]
    assert [install(security, root, most=3) for root in roots] == [InstallAnswer.ACCEPTED] * 3 + [InstallAnswer.FULL]
    assert install(security, roots[0], most=3) is InstallAnswer.ACCEPTED
    assert len(installed(security, RootUse.CENTRAL)) == 3


def test_the_additional_check_lets_a_root_follow_only_its_predecessor(security: Security) -> None:
    first = pki.root("First")
    second, stranger = first.successor("Second"), pki.root("Stranger")
    third = second.successor("Third")
    assert install(security, first, check=True) is InstallAnswer.ACCEPTED
    assert install(security, stranger, check=True) is InstallAnswer.REJECTED
    assert install(security, third, check=True) is InstallAnswer.REJECTED
    for follower in (second, third):
        time.sleep(0.01)  # the order of installation is that of the files' times
        assert install(security, follower, check=True) is InstallAnswer.ACCEPTED
    # The newest and its predecessor, which is the fallback.
    names = {one.subject.rfc4514_string() for _, one in security.certificates.read_roots(RootUse.CENTRAL)}
    assert names == {second.certificate.subject.rfc4514_string(), third.certificate.subject.rfc4514_string()}


def test_a_root_that_is_none_is_refused(security: Security) -> None:
    orphan = pki.root("Unknown").intermediate("Orphan")
    short = pki.root("Short", key="rsa1024")
    for authority in (orphan, short):
        assert install(security, authority) is InstallAnswer.REJECTED
    pair = pki.root("One").pem + pki.root("Two").pem
    answer = install_root(security, RootUse.CENTRAL, pair, additional_check=False, most=MOST)
    assert answer is InstallAnswer.REJECTED
    with pytest.raises(CertificateError, match="at most"):
        read_chain(pki.root("One").pem * 9)


def test_a_disk_that_takes_no_root_is_told(security: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    """M05.FR.03"""

    def fail(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("agent.durable.os.fsync", fail)
    assert install(security, pki.root("A Root")) is InstallAnswer.FAILED
    assert installed(security, RootUse.CENTRAL) == []


def test_the_key_of_a_request_stays_here_and_names_it(security: Security) -> None:
    """2.0.1 A02.FR.05; 2.1 A02.FR.24: one number for each key"""
    numbers = []
    for _ in range(2):
        csr = request_certificate(security, KeyType.P256, "Nordstrom", "NORD-1")
        assert "PRIVATE" not in csr
        numbers += [pending_number(security), pending_number(security)]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
    pending = security.folder / "client" / "pending.key"
    assert pending.stat().st_mode & 0o777 == 0o600


def test_the_charge_points_own_certificate_cannot_be_deleted_nor_the_last_root(security: Security) -> None:
    operator = pki.root("Operator Root")
    assert signed(security, operator)
    text = security.certificates.clients()[0].path.read_text()
    leaf = x509.load_pem_x509_certificate(text[text.index("-----BEGIN CERT") :].encode())
    digest = HashAlgorithm.SHA256
    install(security, operator)
    (root,) = installed(security, RootUse.CENTRAL)
    own = CertificateHash(digest, root.issuer_name, root.issuer_key, f"{leaf.serial_number:X}")
    assert delete(security, own, keep_last_central=False) is DeleteAnswer.FAILED
    assert delete(security, root, keep_last_central=True) is DeleteAnswer.FAILED
    assert delete(security, root, keep_last_central=False) is DeleteAnswer.ACCEPTED
    assert delete(security, root, keep_last_central=False) is DeleteAnswer.NOT_FOUND


def test_the_newest_certificate_goes_first_and_its_predecessor_stays(security: Security) -> None:
    operator = pki.root("Operator Root")
    store = security.certificates
    assert signed(security, operator, since_days=-30)
    assert signed(security, operator, since_days=-20)
    assert signed(security, operator, since_days=-10)
    kept = store.clients()
    assert len(kept) == 2
    assert kept[0].valid_from > kept[1].valid_from
    assert all(one.path.stat().st_mode & 0o777 == 0o600 for one in kept)
    assert store.pending_key() is None
    assert store.usable_clients(kept[0].valid_until + 1) == []
    assert store.usable_clients(None) == kept


def test_a_certificate_for_a_key_that_was_replaced_is_refused(security: Security) -> None:
    operator = pki.root("Operator Root")
    old = request_certificate(security, KeyType.P256, "Operator", "SN-1")
    request_certificate(security, KeyType.P256, "Operator", "SN-1")
    assert not take_certificate(security, operator.sign(old), "Operator", "SN-1", most=10_000)
    csr = request_certificate(security, KeyType.P256, "Operator", "SN-1")
    chain = operator.sign(csr)
    assert not take_certificate(security, chain, "Operator", "SN-2", most=10_000)
    assert not take_certificate(security, chain, "Another", "SN-1", most=10_000)
    assert not take_certificate(security, chain, "Operator", "SN-1", most=len(chain) - 1)
    # A root of the same name that did not sign it.
    install(security, pki.root("Operator Root"))
    assert not take_certificate(security, chain, "Operator", "SN-1", most=10_000)
    install(security, operator)
    assert take_certificate(security, chain, "Operator", "SN-1", most=10_000)
    assert not take_certificate(security, chain, "Operator", "SN-1", most=10_000)


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n", "\u00e9", "A" * 9000])
def test_no_text_is_a_certificate(security: Security, text: str) -> None:
    assert not take_certificate(security, text, "Operator", "SN-1", most=10_000)
    answer = install_root(security, RootUse.MANUFACTURER, text, additional_check=False, most=MOST)
    assert answer is InstallAnswer.REJECTED


def test_dates_are_judged_by_the_best_clock_there_is() -> None:
    peer = {"notBefore": "Jan  1 00:00:00 2027 GMT", "notAfter": "Jan  1 00:00:00 2028 GMT"}
    begin, end = 1_798_761_600.0, 1_830_297_600.0
    assert dates_problem(peer, begin) == dates_problem(peer, end) == dates_problem(None, 0.0) == ""
    assert "not valid before" in dates_problem(peer, begin - 1)
    assert "expired" in dates_problem(peer, end + 1)
    unset = client_context(None, [], None, check_time=False)
    assert unset.verify_flags & 0x200000
    assert not client_context(None, [], None, check_time=True).verify_flags & 0x200000
    assert unset.check_hostname
    assert unset.verify_mode is ssl.CERT_REQUIRED


def test_only_the_suites_of_the_paper_and_their_modern_kin_are_offered() -> None:
    names = {suite["name"] for suite in client_context(None, [], None, check_time=True).get_ciphers()}
    assert {name for name in names if not name.startswith("TLS_")} == {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    }
    assert client_context(None, [], None, check_time=True).options & ssl.OP_NO_COMPRESSION
