"""The session at a terminal: log-in, prompt, commands, paging, log-off when idle."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.console.api import Api, CallError, InterruptedCallError, UnreachableError
from agent.console.command import Command, Table, UsageError, complete, read, split
from agent.console.context import CancelledError, Context, RefusedError
from agent.console.editor import Completion, History, LineEditor, Outcome
from agent.console.keys import Key
from agent.console.style import Style, cut, visible
from agent.console.terminal import Terminal
from agent.console.texts import Texts, fitting
from agent.local.roles import Role

IDLE_S = 600.0
"""Nobody has touched a key for so long: log off."""
RESIZE_S = 1.0
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED = range(5)


class IdleError(Exception):
    """Nobody has touched a key for a while."""


def read_line(
    terminal: Terminal,
    prompt: str,
    *,
    mask: str = "",
    history: History | None = None,
    complete: Any = None,
    idle_s: float | None = None,
) -> str | None:
    """Let a person edit one line. None on Ctrl-C. Raises EOFError on Ctrl-D, IdleError, HangupError."""
    able = terminal.abilities
    editor = LineEditor(prompt, able.columns, ansi=able.ansi, mask=mask, history=history, complete=complete)
    terminal.write(editor.start())
    while True:
        key = terminal.key(RESIZE_S)
        if key is None:
            if terminal.resized():
                terminal.write(editor.resize(terminal.abilities.columns))
            if idle_s is not None and time.monotonic() - terminal.heard_at >= idle_s:
                terminal.write("\n")
                raise IdleError
            continue
        outcome, drawn = editor.press(key)
        terminal.write(drawn)
        if outcome is Outcome.DONE:
            return editor.line
        if outcome is Outcome.INTERRUPTED:
            terminal.forget_typed()  # a pasted script ends here
            return None
        if outcome is Outcome.END:
            raise EOFError


class Shell:
    """Runs commands for one person, or for a file of them.

    ``need_pin``: nothing but help and the log-in works before a PIN was given, whatever the process's user may do
    (a serial port: whoever holds the cable).
    """

    def __init__(
        self,
        table: Table,
        api: Api,
        texts: Texts,
        terminal: Terminal | None = None,
        *,
        need_pin: bool = False,
        port: str = "",
        config_path: Path | None = None,
        idle_s: float = IDLE_S,
        out: Any = None,
    ) -> None:
        self.table = table
        self.terminal = terminal
        self._out = out
        self._need_pin = need_pin
        self._port = port
        self._idle_s = idle_s
        self._history = History()
        self._pin_given = False
        able = terminal.abilities if terminal is not None else None
        unicode = able.unicode if able else (getattr(out, "encoding", "") or "").lower().startswith("utf")
        style = Style(able.colour if able else False, unicode, able.columns if able else 100)
        self._wanted = texts.language
        self.context = Context(
            api, style, fitting(texts, unicode), self._say, terminal, config_path=config_path, serial=need_pin
        )
        self.context.data["table"] = table
        api.on_connect = self._connected

    # ---- a person ----

    def run(self) -> None:
        """Serve a person until they leave. Raises HangupError when the terminal goes."""
        assert self.terminal is not None
        context = self.context
        try:
            self._greet()
            if self._need_pin and not self._log_in():
                return
            self._find_role()
            while True:
                line = read_line(
                    self.terminal,
                    self._prompt(),
                    history=self._history,
                    complete=self._complete,
                    idle_s=self._idle_s,
                )
                if line is None:
                    continue
                self._history.add(line)
                if self._leaves(line):
                    return
                self.do(line)
        except (EOFError, InterruptedCallError):
            return
        except IdleError:
            self._say(context._("Nobody there for {minutes} minutes: logged off.", minutes=round(self._idle_s / 60)))
        finally:
            self._log_out()

    def _leaves(self, line: str) -> bool:
        return line.strip() in (("exit", "quit", "logout") if self._need_pin else ("exit", "quit"))

    def _greet(self) -> None:
        context = self.context
        try:
            station = context.call("status")["station"]
            name = f"{station['identity']} ({station['vendor']} {station['model']}), evse-agent {station['version']}"
        except (UnreachableError, CallError) as error:
            name = "evse-agent"
            self._complain(str(error))
        self._say("")
        self._say(context.style.bold(name))
        if context.texts.language != self._wanted:
            self._say(
                context._("This terminal cannot show '{language}'; the texts are English.", language=self._wanted)
            )
        self._say(context._("'help' lists the commands, 'why' says what holds charging back, 'exit' ends."))

    def _prompt(self) -> str:
        return f"{self.context.role.word if self.context.role else 'none'}> "

    def _log_in(self) -> bool:
        """Ask for the PIN until it is right. False when the person gives up."""
        from agent.console.commands.session import log_in

        while True:
            try:
                log_in(self.context, self._port)
            except (CancelledError, InterruptedCallError):
                return False
            except (CallError, UnreachableError, RefusedError) as error:
                self._complain(str(error))
                continue
            self._pin_given = True
            return True

    def _log_out(self) -> None:
        self.context.data.clear()
        self.context.api.close()  # what the log-in gave goes with the connection
        self._history.lines.clear()

    def _connected(self) -> None:
        """A new connection to the agent begins with the process's own role."""
        self.context.role = Role.NONE

    def _find_role(self) -> None:
        try:
            who = self.context.call("session.who")
        except (CallError, UnreachableError):
            return
        self.context.role = next(role for role in Role if role.word == who["role"])

    def _complete(self, line: str) -> Completion:
        self.context.api.alive()
        start, choices = complete(self.table, line, self.context)
        return Completion(start, choices)

    # ---- one command ----

    def do(self, line: str) -> int:
        """Carry out one line. Return an exit status; whatever goes wrong is said, nothing is raised but HangupError."""
        try:
            words = split(line)
            if not words:
                return EXIT_OK
            command, rest = self.table.find(words)
            if command.role is not Role.NONE and not self.context.api.alive():
                self._reconnect()
            values = read(command, rest, self.context)
            self.context.json = bool(values["json"])
            return self._carry_out(command, values)
        except (CancelledError, InterruptedCallError):
            self._say(self.context._("left off"))
            return EXIT_FAILED
        except UnreachableError as error:
            self._complain(str(error))
            return EXIT_UNREACHABLE
        except UsageError as error:  # what only the command itself can judge: a word that names nothing there is
            self._complain(str(error))
            return EXIT_USAGE
        except (CallError, RefusedError) as error:
            self._complain(str(error))
            return EXIT_REFUSED
        finally:
            self.context.json = False

    def _carry_out(self, command: Command, values: dict[str, Any]) -> int:
        context = self.context
        if context.role < command.role:
            raise RefusedError(
                context._("'{name}' needs the role {role}; 'login' gives it", name=command.name, role=command.role.word)
            )
        result = command.run(context, values)
        if context.json:
            self._put(json.dumps(result.document, ensure_ascii=not context.style.unicode))
        else:
            self._page([each for line in result.lines for each in str(line).split("\n")])
        return EXIT_FAILED if result.failed else EXIT_OK

    def _reconnect(self) -> None:
        """The agent was restarted: a person who had given a PIN gives it again. Raises CancelledError when they do not:
        the new connection's own role is that of this process, and nobody at a serial port may have it for nothing."""
        if not self._pin_given:
            self._find_role()
            return
        self._say(self.context._("The agent has restarted; log in again."))
        if not self._log_in():
            raise CancelledError

    # ---- showing ----

    def _say(self, line: str) -> None:
        """Show a line; a longer one than the terminal is wide is wrapped between words."""
        columns = self.context.style.columns
        if self.terminal is None or len(visible(line)) <= columns:
            self._put(line)
            return
        indent = " " * (len(line) - len(line.lstrip(" ")))
        for piece in textwrap.wrap(line, columns, subsequent_indent=indent, break_on_hyphens=False):
            self._put(piece)

    def _put(self, line: str) -> None:
        text = self.context.style.text(line)
        if self.terminal is not None:
            self.terminal.write(text + "\n")
        elif self._out is not None:
            self._out.write(text + "\n")
            self._out.flush()

    def _complain(self, text: str) -> None:
        self._say(self.context.style.bad(self.context._("error:")) + f" {text}")

    def _page(self, lines: Sequence[str]) -> None:
        terminal = self.terminal
        room = 0 if terminal is None else terminal.abilities.rows - 1
        if terminal is None or len(lines) <= room or terminal.typed_ahead:
            for line in lines:
                self._say(line)
            return
        at = 0
        while at < len(lines):
            for line in lines[at : at + room]:
                self._say(cut(line, terminal.abilities.columns))
            at += room
            if at >= len(lines):
                return
            step = self._more(terminal, at, len(lines))
            if step == 0:
                return
            at, room = (at, step)

    def _more(self, terminal: Terminal, at: int, of: int) -> int:
        """Wait for a key between two pages. Return how many lines to show next; 0 to stop."""
        prompt = self.context._("-- {at} of {of} -- space: on, Enter: a line, q: enough --", at=at, of=of)
        terminal.write(self.context.style.text(prompt))
        while True:
            key = terminal.key(self._idle_s)
            if key is None or key in ("q", "Q", Key.ESCAPE, Key.INTERRUPT, Key.END_OF_INPUT):
                step = 0
            elif key in (Key.ENTER, Key.DOWN):
                step = 1
            elif key in (" ", Key.PAGE_DOWN):
                step = terminal.abilities.rows - 1
            else:
                continue
            terminal.write("\r" + " " * len(prompt) + "\r")
            return step


def run_batch(shell: Shell, lines: Iterable[str], keep_going: bool) -> int:
    """Carry out a file of commands. Return the exit status of the first that failed."""
    shell._find_role()
    failed = EXIT_OK
    for number, line in enumerate(lines, 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        status = shell.do(words)
        if status and not failed:
            failed = status
        if status and not keep_going:
            shell._complain(f"line {number}: {words}: the script ends here")
            break
    return failed
