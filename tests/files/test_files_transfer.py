"""Transfers over real sockets, by the real transfer process, against a server that breaks on purpose."""

from __future__ import annotations

import asyncio
import io
import json
import os
import ssl
import tarfile
from pathlib import Path

import pytest

from agent.files.child import transfer
from agent.files.job import Bundle, Job, TransferError, Trouble, Work
from simulators import pki
from simulators.fileserver import FileServer

DATA = os.urandom(300_000)
PROTOCOLS = ("https", "http", "ftps", "ftp")


def contexts(place: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS settings, and the file of the root that vouches for it."""
    authority = pki.root("Files Root")
    folder = place / "pki"
    folder.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server(folder))
    return context, authority.file(folder)


def job(server: FileServer, target: Path, work: Work = Work.DOWNLOAD, path: str = "/fw.bin", **options: object) -> Job:
    values: dict[str, object] = {
        "schemes": PROTOCOLS,
        "max_bytes": 10_000_000,
        "stall_s": 5.0,
        "reserve_bytes": 0,
        "loopback": True,
        **options,
    }
    return Job(work, server.url(path), str(target), **values)  # type: ignore[arg-type]


def run(one: Job, longest_s: float = 30.0) -> int:
    return asyncio.run(transfer(one, longest_s))


def trouble(one: Job, longest_s: float = 30.0) -> tuple[Trouble, str]:
    with pytest.raises(TransferError) as caught:
        run(one, longest_s)
    return caught.value.trouble, str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_file_comes_whole_and_nothing_is_left_beside_it(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        assert run(job(server, tmp_path / "image")) == len(DATA)
    assert (tmp_path / "image").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_broken_transfer_goes_on_where_it_broke_off(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        server.faults.cut_after = [100_000]
        one = job(server, tmp_path / "image")
        assert trouble(one)[0] is Trouble.BROKEN
        assert not (tmp_path / "image").exists()
        assert run(one) == len(DATA)
        assert server.requests[-1][2].removeprefix("bytes=").rstrip("-") == "100000"
    assert (tmp_path / "image").read_bytes() == DATA


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_server_that_cannot_resume_sends_all_of_it_again(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        server.faults.cut_after = [100_000]
        server.faults.ranges = False
        one = job(server, tmp_path / "image")
        trouble(one)
        assert run(one) == len(DATA)
    assert (tmp_path / "image").read_bytes() == DATA


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_another_version_of_the_file_is_never_mixed_with_the_first(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        server.faults.cut_after = [100_000]
        one = job(server, tmp_path / "image")
        trouble(one)
        newer = server.files["/fw.bin"] = os.urandom(200_000)
        assert run(one) == len(newer)
    assert (tmp_path / "image").read_bytes() == newer


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_wrong_size_is_a_broken_transfer(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        server.faults.lies_about_size = 10
        kind, text = trouble(job(server, tmp_path / "image", stall_s=1.0))
    assert kind is Trouble.BROKEN
    assert str(len(DATA) + 10) in text or "stalled" in text or "Incomplete" in text
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_server_that_falls_silent_is_left(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme) as server:
        server.files["/fw.bin"] = DATA
        server.faults.stall_after = [5000]
        assert trouble(job(server, tmp_path / "image", stall_s=1.0)) == (
            Trouble.BROKEN,
            f"{scheme}://127.0.0.1:{server.port}/fw.bin: stalled",
        )


def test_a_trickle_is_ended_by_the_overall_bound(tmp_path: Path) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = DATA
        server.faults.bytes_per_s = 10_000
        assert "not done after 2 s" in trouble(job(server, tmp_path / "image"), 2.0)[1]


def test_size_cap_and_disk_reserve_hold(tmp_path: Path) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = DATA
        assert trouble(job(server, tmp_path / "image", max_bytes=1000))[0] is Trouble.TOO_LARGE
        kind, text = trouble(job(server, tmp_path / "image", reserve_bytes=1 << 60))
        assert kind is Trouble.NO_SPACE
        assert "are needed" in text


def test_redirects_are_followed_a_few_times_and_never_out_of_the_offered_schemes(tmp_path: Path) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = DATA
        server.faults.redirect = {"/a": "/b", "/b": "/fw.bin", "/loop": "/loop", "/file": "file:///etc/passwd"}
        assert run(job(server, tmp_path / "image", path="/a")) == len(DATA)
        assert "redirects" in trouble(job(server, tmp_path / "image", path="/loop"))[1]
        assert trouble(job(server, tmp_path / "image", path="/file"))[0] is Trouble.BAD_ADDRESS
        assert (tmp_path / "image").read_bytes() == DATA


def test_this_machine_itself_is_no_file_server_unless_allowed(tmp_path: Path) -> None:
    for scheme in ("http", "ftp"):
        with FileServer(scheme) as server:
            server.files["/fw.bin"] = DATA
            kind, text = trouble(job(server, tmp_path / "image", loopback=False))
            assert (kind, server.requests) == (Trouble.BAD_ADDRESS, [])
            assert "files.loopback" in text


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_user_and_password_are_used_and_never_told(tmp_path: Path, scheme: str) -> None:
    with FileServer(scheme, user="fleet", password="s3cret") as server:
        server.files["/fw.bin"] = DATA
        assert run(job(server, tmp_path / "image")) == len(DATA)
        server.password = "other"
        wrong = Job(
            **{**_fields(job(server, tmp_path / "image")), "address": server.url("/fw.bin").replace("other", "s3cret")}
        )
        kind, text = trouble(wrong)
    assert kind is Trouble.PERMISSION_DENIED
    assert "s3cret" not in text
    assert "fleet" not in text


def _fields(one: Job) -> dict[str, object]:
    return {name: getattr(one, name) for name in Job.__slots__}


@pytest.mark.parametrize(("scheme", "implicit"), [("https", False), ("ftps", False)])
def test_tls_is_checked(tmp_path: Path, scheme: str, implicit: bool) -> None:
    context, ca_file = contexts(tmp_path)
    with FileServer(scheme, context, implicit=implicit) as server:
        server.files["/fw.bin"] = DATA
        assert run(job(server, tmp_path / "image", ca_file=str(ca_file))) == len(DATA)
        assert "CERTIFICATE_VERIFY_FAILED" in trouble(job(server, tmp_path / "other"))[1]
        # A root that the network has installed will do (2.0.1 N01.FR.15), a file that is none does no harm.
        (tmp_path / "none.pem").write_text("nothing")
        roots = (str(tmp_path / "none.pem"), str(tmp_path / "not there"), str(ca_file))
        assert run(job(server, tmp_path / "third", roots=roots)) == len(DATA)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_bundle_is_made_and_stored_under_its_name(tmp_path: Path, scheme: str) -> None:
    bundle = Bundle("diag-1.tar.gz", {"status.json": '{"a": 1}', "agent.log": "hello\n"})
    with FileServer(scheme) as server:
        run(job(server, tmp_path / "out", Work.UPLOAD, "/in", bundle=bundle))
        stored = server.files["/in/diag-1.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(stored)) as archive:
        names = archive.getnames()
        log = archive.extractfile("diag-1/agent.log")
        versions = archive.extractfile("diag-1/versions.json")
        assert log is not None
        assert log.read() == b"hello\n"
        assert versions is not None
        assert "websockets" in json.load(versions)
    assert names == ["diag-1/status.json", "diag-1/agent.log", "diag-1/versions.json"]
    assert list(tmp_path.iterdir()) == []


def test_where_put_is_not_offered_a_form_is_posted(tmp_path: Path) -> None:
    with FileServer("http") as server:
        server.faults.put = False
        run(job(server, tmp_path / "out", Work.UPLOAD, "/in", bundle=Bundle("s.log", {"s": "line\n"}, plain=True)))
        assert server.verbs() == ["PUT", "POST"]
        assert b'filename="s.log"' in server.files["/in"]
        assert b"line\n" in server.files["/in"]


def test_what_a_server_answers_to_an_upload_is_told_apart(tmp_path: Path) -> None:
    one = Bundle("s.log", {"s": "line\n"}, plain=True)
    cases = [
        ("http", 403, Trouble.PERMISSION_DENIED),
        ("http", 400, Trouble.BAD_MESSAGE),
        ("http", 503, Trouble.BROKEN),
    ]
    cases += [("ftp", 550, Trouble.PERMISSION_DENIED), ("ftp", 502, Trouble.NOT_SUPPORTED)]
    for scheme, code, kind in cases:
        with FileServer(scheme) as server:
            server.faults.refuse = [code]
            assert trouble(job(server, tmp_path / "out", Work.UPLOAD, "/in", bundle=one))[0] is kind, (scheme, code)


def test_a_bundle_stays_below_its_bound_and_keeps_the_end_of_the_log(tmp_path: Path) -> None:
    log = "".join(f"{n} {os.urandom(20).hex()}\n" for n in range(5000)) + "the last line\n"
    bundle = Bundle("d.tar.gz", {"agent.log": log}, max_bytes=20_000)
    with FileServer("http") as server:
        run(job(server, tmp_path / "out", Work.UPLOAD, "/in", bundle=bundle))
        stored = server.files["/in/d.tar.gz"]
    assert len(stored) <= 20_000
    with tarfile.open(fileobj=io.BytesIO(stored)) as archive:
        found = archive.extractfile("d/agent.log")
        assert found is not None
        assert found.read().endswith(b"the last line\n")
