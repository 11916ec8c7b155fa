"""The driver of docs/extending.md, examined as the page says: by a class that a third party would write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hal.conformance.findings import CHECKS
from hal.conformance.kit import examine
from hal.conformance.peer_process import ProcessPeer
from hal.conformance.subject import Subject
from simulators.pty_port import PtyPort

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"


class Door:
    """The far end of a reader that says nothing while there is no card."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._port = PtyPort(directory / "door", lambda data: None)
        self._port.open(loop)
        self.options: Mapping[str, Any] = {"driver": "line-reader", "port": str(self._port.link)}

    def step(self, now: float) -> None: ...

    def account(self) -> None:
        return None

    def ask(self, wants: bool) -> None: ...

    def restart(self) -> None: ...

    def close(self) -> None:
        self._port.close()


@pytest.mark.process
def test_the_example_passes_the_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    from line_reader import DRIVER, LineReaderOptions

    with ProcessPeer("test_conform_example:Door", path=(HERE,)) as peer:
        report = examine(Subject("door", DRIVER, LineReaderOptions(peer.options["port"]), peer, may_close=True))
    assert report.passed, report.text()
    assert set(report.not_applicable) == {"start-safe", "before-known", "repeats", "opens", "silence", "stale"}


def test_it_is_about_fifty_lines() -> None:
    text = (EXAMPLES / "line_reader.py").read_text(encoding="utf-8")
    code = [line for line in text.partition("LONGEST_LINE")[2].splitlines() if line.strip()]
    assert 45 <= len(code) <= 65


def test_the_page_names_every_check() -> None:
    page = (HERE.parents[1] / "docs" / "hardware" / "conformance.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `")] == [
        f"| `{name}` | {asks} |" for name, asks in CHECKS.items()
    ]
