"""Log lines with fields, as a journald would get them; standard error with priorities; and no journald at all."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.logs import _OF_ONE_LOGGER, FIELDS, KINDS, KNOWN, JournalHandler, Prefixed, datagram, fields_of, priority
from agent.ocpp.ports import UplinkState
from agent.ocpp.quiet import QuietLog

ROOT = Path(__file__).parents[2]


class Journald:
    """Parses the native protocol, written from systemd's description of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)

    def entry(self) -> dict[str, str]:
        data, found = self.socket.recv(65536), {}
        while data:
            line, _, rest = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8 : 8 + size], rest[9 + size :]
            found[name.decode()] = value.decode()
            data = rest
        return found


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    journald = Journald(tmp_path / "socket")
    yield journald
    journald.socket.close()


@pytest.fixture
def logger(journald: Journald) -> Iterator[logging.Logger]:
    logger, handler = logging.getLogger("evse-control"), JournalHandler("evse-control", journald.path)
    logger.addHandler(handler)
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(level)
    handler.close()


def test_a_fault_carries_its_fields(journald: Journald, logger: logging.Logger) -> None:
    logger.warning("EVSE %d: fault %s: %s. %s", 2, "diode", "no diode", "Unplug")
    assert journald.entry() == {
        "MESSAGE": "EVSE 2: fault diode: no diode. Unplug",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "evse-control",
        "LOGGER": "evse-control",
        "MESSAGE_ID": "f3b0a4c1d2e94e63b6d1a0c7e85f1101",
        "EVSE": "2",
        "FAULT": "diode",
    }


def test_several_lines_and_what_a_call_adds(journald: Journald, logger: logging.Logger) -> None:
    logger.error("two\nlines = %s", "x", extra={"transaction": "abc", "evse": 1})
    entry = journald.entry()
    assert entry["MESSAGE"] == "two\nlines = x"
    assert (entry["TRANSACTION"], entry["EVSE"]) == ("abc", "1")
    assert "MESSAGE_ID" not in entry


def test_a_journald_that_is_away_costs_nothing_but_the_line(journald: Journald, logger: logging.Logger) -> None:
    journald.path.rename(journald.path.with_name("away"))
    logger.info("lost")
    journald.path.with_name("away").rename(journald.path)
    logger.info("there")
    entry = journald.entry()
    assert (entry["MESSAGE"], entry["LINES_LOST"]) == ("there", "1")


def test_a_value_cannot_forge_a_field() -> None:
    assert datagram({"FAULT": "a\nEVSE=9"}) == b"FAULT\n" + (8).to_bytes(8, "little") + b"a\nEVSE=9\n"


def test_priorities_of_lines_on_standard_error() -> None:
    assert [priority(n) for n in (10, 20, 30, 40, 50)] == [7, 6, 4, 3, 2]
    record = logging.LogRecord("x", logging.ERROR, "", 0, "one\ntwo", None, None)
    assert Prefixed("%(message)s").format(record) == "<3>one\n<3>two"


def test_every_known_text_is_one_that_is_written() -> None:
    written: dict[str, set[str]] = {}
    for path in (ROOT / "agent").rglob("*.py"):
        if path.name == "logs.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for argument in node.args[:2]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        written.setdefault(argument.value, set()).add(path.name)
    assert sorted(text for text in KNOWN if text not in written) == []
    assert _OF_ONE_LOGGER.keys() <= KNOWN.keys()


def _logging_as(logger: str) -> str:
    """The source of the module of that name, and of those beside it that take its logger."""
    own = ROOT / f"{logger.replace('.', '/')}.py"
    others = [path.read_text("utf-8") for path in sorted(own.parent.glob("*.py")) if path != own]
    return own.read_text("utf-8") + "".join(text for text in others if f'getLogger("{logger}")' in text)


def test_each_kind_of_line_that_is_known_is_logged_by_who_should() -> None:
    for (logger, kind), known in KINDS.items():
        source = _logging_as(logger)
        assert f'"{kind}"' in source or (kind in {state.value for state in UplinkState} and "log(state.value" in source)
        with closing_handler() as (log, records):
            QuietLog(log(logger)).log(kind, 0.0, "whatever it says")
        assert fields_of(records[0])["MESSAGE_ID"] == known.message_id
        assert "MESSAGE_ID" not in fields_of(logging.makeLogRecord({"name": "other", "msg": "%s%s", "kind": kind}))


@contextlib.contextmanager
def closing_handler() -> Iterator[tuple[Callable[[str], logging.Logger], list[logging.LogRecord]]]:
    """Loggers whose records are kept."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    touched: list[logging.Logger] = []

    def log(name: str) -> logging.Logger:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        touched.append(logger)
        return logger

    yield log, records
    for logger in touched:
        logger.removeHandler(handler)


def test_message_ids_are_unique_and_documented() -> None:
    every = [*KNOWN.values(), *KINDS.values()]
    ids = [known.message_id for known in every]
    assert len(set(ids)) == len(ids)
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| `([0-9a-f]{32})` \| ([^|]+) \|", page, re.MULTILINE)
    assert {(number, what.strip()) for number, what in rows} == {(k.message_id, k.what) for k in every}
    for field in FIELDS:
        assert f"`{field}`" in page
    record = logging.LogRecord("other", logging.INFO, "", 0, "%s: %s", ("a", "b"), None)
    assert fields_of(record) == {}


@pytest.mark.process
@pytest.mark.parametrize("under", [False, True])
def test_without_journald_lines_go_to_standard_error(under: bool) -> None:
    code = "import logging, agent.logs as l; l.JOURNAL_SOCKET = l.Path('/none'); l.configure('info', 'x')"
    code += "; logging.warning('hey')"
    read, write = os.pipe()
    about = os.fstat(write)
    environment = {**os.environ, "JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}" if under else ""}
    subprocess.run([sys.executable, "-c", code], check=True, stderr=write, env=environment, cwd=ROOT, timeout=60)
    os.close(write)
    with os.fdopen(read) as source:
        said = source.read()
    assert said.startswith("<4>root: hey") if under else "WARNING" in said and not said.startswith("<")
