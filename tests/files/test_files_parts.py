"""Addresses, masking, the log ring, and notices: the parts without a wire."""

from __future__ import annotations

import json
import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.schema import Config, Installation, Ocpp, Station
from agent.files.address import AddressError, parse, shown
from agent.files.attempts import Attempts
from agent.files.job import Bundle, Job, Work
from agent.files.masking import MASK, masked
from agent.files.notices import MAX_WAITING, About, NoticeLine
from agent.files.ring import MAX_CHARACTERS, MAX_LINES, LogRing

ALL = ("https", "http", "ftps", "ftp")


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("https://h/fw.bin", "https://h/fw.bin"),
        ("HTTP://H:8080/a b", None),
        ("HTTP://H:8080/a%20b", "http://h:8080/a%20b"),
        ("ftp://me:se%40cret@h:2121/x/y", "ftp://h:2121/x/y"),
        ("https://h/fw?X-Sig=abc", "https://h/fw?…"),
        ("http://[2001:db8::1]:81/x", "http://[2001:db8::1]:81/x"),
        ("file:///etc/passwd", None),
        ("sftp://h/x", None),
        ("gopher://h/x", None),
        ("//h/x", None),
        ("https:///x", None),
        ("https://h:99999/x", None),
        ("https://h\r\nX: y/", None),
        ("ftp://h/a%0d%0aDELE b", None),
        ("ftp://h/a%0d%0aDELE", None),
        ("ftp://u%0aq:p@h/a", None),
        ("https://h/" + "a" * 3000, None),
        ("", None),
    ],
)
def test_only_well_formed_addresses_of_the_offered_schemes_are_taken(text: str, shows: str | None) -> None:
    if shows is None:
        with pytest.raises(AddressError):
            parse(text, ALL)
    else:
        assert parse(text, ALL).shown == shows


def test_what_is_not_offered_is_not_taken() -> None:
    with pytest.raises(AddressError, match="use one of https"):
        parse("ftp://h/x", ("https",))


@given(st.text(max_size=200))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    for candidate in (text, f"https://{text}", f"ftp://u:pass@h/{text}"):
        try:
            found = parse(candidate, ALL)
        except AddressError:
            continue
        assert found.host
        assert not any(c in found.target for c in "\r\n ")
        found.target.encode("ascii")


@given(st.text(alphabet="abcXYZ0189-_.~!$%", min_size=4, max_size=30))
def test_a_password_is_never_shown(secret: str) -> None:
    assert "SECRET" + secret not in shown(f"ftp://user:SECRET{secret}@host/path")


def test_a_redirect_takes_the_password_along_to_the_same_place_only() -> None:
    here = parse("https://u:p@h/a", ALL)
    assert here.redirected("/b").password == "p"
    assert here.redirected("https://other/b").password == ""
    assert here.redirected("https://h:444/b").password == ""
    for bad in ("http://h/b", "ftp://h/b", "file:///b"):
        with pytest.raises(AddressError):
            here.redirected(bad)


def test_a_folder_takes_the_name_and_a_presigned_address_stays() -> None:
    assert parse("ftp://h/in/", ALL).within("d 1.gz").path == "/in/d%201.gz"
    assert parse("https://h/key?sig=1", ALL).within("d.gz").target == "/key?sig=1"


def test_attempts_are_bounded_whatever_the_network_says() -> None:
    attempts = Attempts(10**9, 10**12)
    assert (attempts.retries, attempts.interval_s) == (100, 86_400.0)
    attempts = Attempts(-5, -5)
    attempts.begin()
    assert attempts.next_at(0.0) is None
    kept = Attempts.from_document(json.loads(json.dumps(Attempts(3, 7.0, 2).document())))
    assert kept == Attempts(3, 7.0, 2)


def test_a_job_comes_over_as_it_was() -> None:
    job = Job(Work.UPLOAD, "https://h/ü", "/x", ALL, 1, 2.0, bundle=Bundle("n", {"a": "b\n"}))
    assert Job.read(job.line()) == job
    assert job.line().count(b"\n") == 1


def test_the_shown_configuration_holds_no_secret() -> None:
    config = Config(
        Station("V", "M", "S"),
        Installation(32),
        {},
        (),
        ocpp=Ocpp(
            url="wss://h/x",
            password="hunter2hunter2",
            settings={"AuthorizationKey": "deadbeefdead", "HeartbeatInterval": "9"},
        ),
    )
    text = json.dumps(masked(config), ensure_ascii=False)
    assert "hunter2" not in text
    assert "deadbeef" not in text
    assert masked(config)["ocpp"]["password"] == MASK
    assert masked(config)["ocpp"]["settings"]["HeartbeatInterval"] == "9"
    assert masked({"broker": "mqtt://u:p@h/x", "api_key": "k"}) == {"broker": f"mqtt://{MASK}@h/x", "api_key": MASK}


def test_the_ring_keeps_the_latest_lines_within_its_bounds() -> None:
    ring = LogRing()
    for number in range(MAX_LINES + 50):
        ring.handle(logging.LogRecord("agent", logging.INFO, "", 1, "line %d", (number,), None))
    lines = ring.text().splitlines()
    assert len(lines) == MAX_LINES
    assert lines[-1].endswith(f"line {MAX_LINES + 49}")
    for _ in range(1000):
        ring.handle(logging.LogRecord("agent", logging.INFO, "", 1, "x" * 5000, (), None))
    assert sum(len(line.split(" ", 1)[1]) for line in ring.text().splitlines()) <= MAX_CHARACTERS
    ring.handle(logging.LogRecord("agent", logging.INFO, "", 1, "%d %d", ("wrong",), None))
    assert ring.text(until_utc_s=0.0) == ""


class Keeper:
    def __init__(self) -> None:
        self.tables: dict[str, dict[str, str]] = {}
        self.full = False

    def write(self) -> AbstractContextManager[None]:
        return nullcontext()

    def keep(self, table: str, key: str, value: Any | None) -> None:
        if self.full:
            raise OSError("disk full")
        documents = self.tables.setdefault(table, {})
        if value is None:
            documents.pop(key, None)
        else:
            documents[key] = json.dumps(value)

    def kept(self, table: str) -> dict[str, Any]:
        return {key: json.loads(text) for key, text in self.tables.get(table, {}).items()}


def test_notices_come_in_order_and_outlive_a_restart() -> None:
    keeper = Keeper()
    line = NoticeLine(keeper)
    line.append(About.FIRMWARE, "Downloading", 4)
    line.append(About.LOG, "uploading", None)
    again = NoticeLine(keeper)
    first = again.first()
    assert first is not None
    assert (first.about, first.status, first.request) == (About.FIRMWARE, "Downloading", 4)
    again.told(first.key)
    again.append(About.FIRMWARE, "Installed", 4)
    assert [len(again), len(NoticeLine(keeper))] == [2, 2]
    keeper.tables["file_notice"]["9"] = json.dumps({"about": "nonsense"})
    assert len(NoticeLine(keeper)) == 2


def test_a_full_disk_or_a_long_absence_does_not_stop_the_line() -> None:
    keeper = Keeper()
    line = NoticeLine(keeper)
    for number in range(MAX_WAITING + 10):
        keeper.full = number % 2 == 0
        line.append(About.LOG, "uploaded", number)
    first = line.first()
    assert len(line) == MAX_WAITING
    assert first is not None
    assert first.request == 10


def test_nothing_of_a_transfer_is_left_in_the_process_list(tmp_path: Path) -> None:
    """The job goes by stdin: an address with a password never stands among the arguments of a process."""
    import agent.files.child as child

    source = Path(child.__file__).read_text("utf-8")
    arguments = source[source.index("create_subprocess_exec(") : source.index("stdin=")]
    assert "job" not in arguments


def test_a_logged_frame_shows_neither_password_nor_signed_query_of_an_address() -> None:
    from agent.ocpp.frames import masked as frame

    shown_text = frame('[2,"1","GetDiagnostics",{"location":"ftp://me:s3cret@h/in"}]')
    assert "s3cret" not in shown_text
    assert "GetDiagnostics" in shown_text
    assert "abc" not in frame('[2,"1","GetLog",{"log":{"remoteLocation":"https://h/k?sig=abc"}}]')
    long = "x" * 460
    assert "s3cret" not in frame(f'[2,"1","UpdateFirmware",{{"a":"{long}","location":"ftp://me:s3cret@h/in"}}]')
