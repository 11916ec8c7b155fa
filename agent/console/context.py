"""What a command may use: the agent, the person at the terminal, and how to speak to both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.console.api import Api
from agent.console.keys import Key, Pressed
from agent.console.style import Style, cut, plain
from agent.console.terminal import Terminal
from agent.console.texts import Texts
from agent.local.roles import Role

EVSES_S = 5.0


def meant(answer: str, yes: str) -> bool:
    """Whether somebody said yes: in English or in the language of the session, with or without accents."""
    given, bare = answer.strip().casefold(), plain(yes.casefold())
    return given in ("yes", yes.casefold()) or ("?" not in bare and plain(given) == bare)


class RefusedError(Exception):
    """A command cannot be done. The text says why and what to do."""


class CancelledError(Exception):
    """The person said no, or pressed Ctrl-C."""


@dataclass(slots=True)
class Context:
    """``terminal`` is None in batch mode: nobody is there to be asked."""

    api: Api
    style: Style
    texts: Texts
    say: Callable[[str], None]
    """Show one line now."""
    terminal: Terminal | None = None
    role: Role = Role.NONE
    json: bool = False
    """The command was asked for JSON: nothing but its result may be shown."""
    config_path: Path | None = None
    serial: bool = False
    """Somebody at a service port: whoever holds the cable, with no user of this machine behind."""
    data: dict[str, Any] = field(default_factory=dict)
    """What commands keep for this session."""
    _evses: tuple[float, list[int]] = (float("-inf"), [])

    def call(self, method: str, **parameters: Any) -> Any:
        """Call the agent. Raises what ``Api.call`` raises."""
        return self.api.call(method, **parameters)

    def evses(self) -> list[int]:
        """Numbers of the EVSEs; none while no agent answers."""
        now = time.monotonic()
        if now - self._evses[0] > EVSES_S:
            try:
                status = self.api.call("status")
                self._evses = now, [evse["id"] for evse in status["evses"]]
            except Exception:  # noqa: BLE001 (completion and reading words must not fail for want of an agent)
                return []
        return self._evses[1]

    def _(self, text: str, **values: Any) -> str:
        """Return a text in the person's language, with its values put in."""
        return self.texts.text(text, **values)

    # ---- asking ----

    def confirm(self, question: str) -> None:
        """Go on only after a yes. Raises CancelledError; RefusedError in batch mode (use the command's --yes there)."""
        terminal = self._person()
        self.say(self.style.warn(question))
        answer = self.ask(self._("Type 'yes' to go on:"))
        if not meant(answer, self._("yes")):
            raise CancelledError
        terminal.heard_at = time.monotonic()

    def ask(self, prompt: str, *, secret: bool = False, default: str = "") -> str:
        """Ask for a line. Raises CancelledError on Ctrl-C, RefusedError in batch mode."""
        from agent.console.shell import read_line

        shown = f"{prompt} [{default}] " if default else f"{prompt} "
        line = read_line(self._person(), shown, mask="*" if secret else "")
        if line is None:
            raise CancelledError
        return line.strip() or default

    def choose(self, question: str, choices: Iterable[tuple[str, str]]) -> str:
        """Ask for one of several (value, text). Return the value."""
        table = list(choices)
        self.say(question)
        for number, (_, text) in enumerate(table, 1):
            self.say(f"  {number}  {text}")
        while True:
            answer = self.ask(self._("Number:"))
            if answer.isdigit() and 1 <= int(answer) <= len(table):
                return table[int(answer) - 1][0]
            if answer in [value for value, _ in table]:
                return answer
            self.say(self._("1 to {most}, please", most=len(table)))

    def pause(self, seconds: float) -> None:
        """Let time pass; Ctrl-C ends it. Raises CancelledError."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            if self.terminal is None:
                time.sleep(left_s)
            elif self.terminal.key(min(left_s, 0.2)) is Key.INTERRUPT:
                raise CancelledError

    def _person(self) -> Terminal:
        if self.terminal is None:
            raise RefusedError(self._("this command asks questions; give its answers as options in a script"))
        return self.terminal

    # ---- live screens ----

    @contextmanager
    def subscribed(self, topic: str, *, period_s: float = 1.0, evse: int = 0) -> Iterator[int]:
        """Have a topic's values pushed while the block runs. Gives the subscription's number."""
        number = self.api.call("subscribe", topic=topic, period_s=period_s, evse=evse)["subscription"]
        try:
            yield number
        finally:
            if self.api.fileno() is not None:
                self.api.call("unsubscribe", subscription=number)

    def events(self, timeout_s: float | None = None) -> Iterator[dict[str, Any] | Pressed | None]:
        """Yield pushed values and keys as they come, None once a second; ends on q, Escape, Ctrl-C or after
        ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while deadline is None or time.monotonic() < deadline:
            event = self.api.event(0.0)
            if event is not None:
                yield event
                continue
            fd = self.api.fileno()
            if fd is None:
                raise RefusedError(self._("the agent has gone"))
            if self.terminal is None:
                yield self.api.event(1.0)
                continue
            wait_s = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
            key = self.terminal.key(wait_s, fd)
            if key in ("q", "Q", Key.ESCAPE, Key.INTERRUPT, Key.END_OF_INPUT):
                return
            if self.api.event_waiting(0.0):
                continue
            yield key

    def screen(self, lines: Iterable[str]) -> None:
        """Draw a whole screen in place where the terminal can; else line by line."""
        shown = [cut(self.style.text(line), self.style.columns) for line in lines]
        if self.terminal is None or not self.terminal.abilities.ansi:
            for line in shown:
                self.say(line)
            return
        rows = self.terminal.abilities.rows
        body = "\x1b[K\n".join(shown[: rows - 1])
        self.terminal.write(f"\x1b[H{body}\x1b[K\x1b[J")
