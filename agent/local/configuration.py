"""The local API's methods about the configuration file: show, check, change, go back.

Secrets never leave: where one stands, ``***`` is shown, and a text that comes back with ``***`` keeps what was there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from agent.config import edit
from agent.config.history import Entry
from agent.config.proving import Trial
from agent.local.methods import Caller, Method, observe, service
from agent.local.roles import Role
from agent.local.rpc import RpcError
from agent.station.documents import moment

MASK = "***"
SHORTEST_S, LONGEST_S = 10.0, 86_400.0

_USER_PART = re.compile(r"(?<=://)[^/@\s]+@")


class ConfigChange(TypedDict):
    """One value that differs."""

    path: str
    """Such as ``evses[0].max_current_a``."""
    before: str | None
    """None: it does not stand there, so its default holds."""
    after: str | None


class ConfigText(TypedDict):
    path: str
    text: str
    """The file as it stands on the disk, with its comments; secrets as ``***``."""


class ConfigTaken(TypedDict):
    """What a change does."""

    number: int
    """In the history; 0 when nothing was written (a dry run, or nothing differs)."""
    changes: list[ConfigChange]
    restarts: list[str]
    """What starts anew for it: 'agent', 'control'."""
    findings: list[str]
    """Of a dry run: every broken rule."""


class ConfigEntry(TypedDict):
    """A change that was made."""

    number: int
    at: str | None
    who: str
    note: str
    changes: list[str]
    outcome: str
    """'kept', or 'taken back: ' and why; empty while it is on trial."""


class ConfigTrial(TypedDict):
    """A change that is not proved yet."""

    number: int
    left_s: float
    """Until it is taken back."""
    needs: list[str]
    """What must be there again: 'uplink', 'control'."""
    phase: str
    """'proving', or 'restoring' while the old file comes back."""


class ConfigState(TypedDict):
    trial: ConfigTrial | None
    unread: list[ConfigChange]
    """What stands in the file and is not in force yet: it was changed by hand since the agent started."""


@dataclass(frozen=True, slots=True)
class Ports:
    """``take(text, caller, note, within_s, in_session, dry, over_trial)`` gives number, changes, whether control starts
    anew; raises RpcError. ``audit(caller, method, words)`` writes what was changed into the book of changes."""

    text: Callable[[], str]
    path: Callable[[], str]
    running: Callable[[], str]
    check: Callable[[str], Any]
    take: Callable[..., Any]
    entries: Callable[[], Sequence[Entry]]
    old_text: Callable[[int], str]
    trial: Callable[[], tuple[Trial, float] | None]
    audit: Callable[[Caller, str, str], None]
    is_secret: Callable[[str], bool]


def hidden(path: str, value: str | None, is_secret: Callable[[str], bool]) -> str | None:
    """Return what may be shown of a value."""
    if not value:
        return value
    names = [step for step in edit.parsed(path) if isinstance(step, str)]
    return MASK if is_secret(names[-1]) else _USER_PART.sub(f"{MASK}@", value)


def masked(text: str, is_secret: Callable[[str], bool]) -> str:
    """Return a file's text without its secrets, those in remarks included."""
    for path, value in edit.leaves(text).items():
        shown = hidden(path, value, is_secret)
        if shown is not None and shown != value:
            text = edit.with_value(text, path, shown)

    def remark(match: re.Match[str]) -> str:
        for found in re.finditer(r"\b([A-Za-z_]+)\s*:\s+(?=\S)", match[0]):
            if is_secret(found[1]):
                return match[0][: found.end()] + MASK
        return match[0]

    return re.sub(r"(?m)^\s*#.*$", remark, text)


def unmasked(text: str, old: str, is_secret: Callable[[str], bool]) -> str:
    """Put back what was hidden when a text was shown. Raises EditError where there is nothing to put back."""
    known: dict[str, str] | None = None
    for path, value in edit.leaves(text).items():
        if MASK not in value:
            continue
        known = edit.leaves(old) if known is None else known
        if path not in known or hidden(path, known[path], is_secret) != value:
            raise edit.EditError(f"{path}: {MASK} stands for what was hidden, and there is nothing there; write it out")
        text = edit.with_value(text, path, known[path])
    return text


def methods(ports: Ports) -> dict[str, Method]:
    def shown(changes: Sequence[edit.Change]) -> list[ConfigChange]:
        return [
            {
                "path": each.path,
                "before": hidden(each.path, each.before, ports.is_secret),
                "after": hidden(each.path, each.after, ports.is_secret),
            }
            for each in changes
        ]

    def between(one: str, other: str) -> list[edit.Change]:
        return edit.changes(edit.leaves(one), edit.leaves(other))

    async def apart(work: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(work)
        except (edit.EditError, OSError) as error:
            raise RpcError(str(error)) from error

    async def text() -> ConfigText:
        """The configuration file as it stands on the disk, secrets hidden."""
        now = ports.text()
        return {"path": ports.path(), "text": await apart(lambda: masked(now, ports.is_secret))}

    async def state() -> ConfigState:
        """The change that is on trial, and what was changed by hand and is not in force yet."""
        found = ports.trial()
        now = ports.text()
        trial: ConfigTrial | None = None
        if found is not None:
            one, left_s = found
            needs = [word for word, needed in (("uplink", one.needs_uplink), ("control", one.needs_control)) if needed]
            trial = {"number": one.number, "left_s": round(left_s, 1), "needs": needs, "phase": one.phase.value}
        return {"trial": trial, "unread": shown(await apart(lambda: between(ports.running(), now)))}

    async def check(text: str) -> list[str]:
        """Every rule that a text breaks, with line, option and remedy; empty for a good one."""
        now = ports.text()
        whole = await apart(lambda: unmasked(text, now, ports.is_secret))
        found: list[str] = await ports.check(whole)
        return found

    async def diff(text: str | None = None, number: int | None = None) -> list[ConfigChange]:
        """What differs from the file on the disk: in a text; in the file before change ``number``; or, with neither, in
        what the agent has read (``before``)."""
        now = ports.text()
        if text is not None:
            return shown(await apart(lambda: between(now, unmasked(text, now, ports.is_secret))))
        if number is not None:
            return shown(await apart(lambda: between(ports.old_text(number), now)))
        return shown(await apart(lambda: between(ports.running(), now)))

    async def take(
        name: str, caller: Caller, make: Callable[[], str], note: str, within_s: float, in_session: bool, dry: bool,
        over_trial: bool = False,
    ) -> ConfigTaken:  # fmt: skip
        if not SHORTEST_S <= within_s <= LONGEST_S:
            raise RpcError(f"within_s must be {SHORTEST_S:g} to {LONGEST_S:g}")
        whole = await apart(make)
        number, changes, control, findings = await ports.take(
            whole, caller.who, note[:200], within_s, in_session, dry, over_trial
        )
        told = shown(changes)
        if number:
            words = "; ".join(f"{each['path']}: {each['before']} -> {each['after']}" for each in told)
            ports.audit(caller, name, f"change {number}: {words or 'remarks only'}")
        restarts = ["agent", *(["control"] if control else [])] if changes else []
        return {"number": number, "changes": told, "restarts": restarts, "findings": findings}

    async def apply(
        text: str, caller: Caller, within_s: float = 300.0, in_session: bool = False, note: str = "", dry: bool = False
    ) -> ConfigTaken:
        """Take a whole text for the configuration file. It is checked as a whole, written in one piece, and the agent
        (and control, while nothing is plugged in) starts anew with it. When what worked before, uplink and control, is
        not back ``within_s`` seconds, the old file comes back by itself. Refused while a vehicle charges, unless
        ``in_session``. ``dry``: check only, and tell what would change."""
        now = ports.text()
        make = lambda: unmasked(text, now, ports.is_secret)  # noqa: E731
        return await take("config.apply", caller, make, note, within_s, in_session, dry)

    async def set_values(
        values: dict[str, Any], caller: Caller, within_s: float = 300.0, in_session: bool = False, dry: bool = False
    ) -> ConfigTaken:
        """Change single values, given by their paths, and leave the rest of the file as it is: {"ocpp.url": "wss://…"}.
        A value is a text as it would stand in the file; lists in brackets; null takes the option out, so that its
        default holds. Else as `config.apply`."""
        now = ports.text()

        def make() -> str:
            edited = now
            for path, value in values.items():
                if value is not None and not isinstance(value, str):
                    raise edit.EditError(f"{path}: give the value as a text")
                edited = edit.without(edited, path) if value is None else edit.with_value(edited, path, value)
            return edited

        note = f"set {', '.join(values)}"
        return await take("config.set", caller, make, note, within_s, in_session, dry)

    async def rollback(
        caller: Caller, number: int | None = None, within_s: float = 300.0, in_session: bool = False, dry: bool = False
    ) -> ConfigTaken:
        """Go back to the file as it was before change ``number`` (the last one). Else as `config.apply`; a change that
        is on trial ends by it."""
        entries = await apart(ports.entries)
        if number is None:
            if not entries:
                raise RpcError("nothing was changed yet; there is nothing to go back to")
            number = entries[0].number
        wanted = number
        make = lambda: ports.old_text(wanted)  # noqa: E731
        note = f"back to before change {number}"
        return await take("config.rollback", caller, make, note, within_s, in_session, dry, True)

    async def history() -> list[ConfigEntry]:
        """The last ten changes, the newest first."""
        return [
            {
                "number": each.number,
                "at": moment(each.utc_s),
                "who": each.who,
                "note": each.note,
                "changes": list(each.changes),
                "outcome": each.outcome,
            }
            for each in await apart(ports.entries)
        ]

    return {
        "config.text": observe(text),
        "config.state": observe(state),
        "config.check": Method(check, Role.SERVICE),
        "config.diff": observe(diff),
        "config.apply": service(apply, secret=("text",)),
        "config.set": service(set_values, secret=("values",)),
        "config.rollback": service(rollback),
        "config.history": observe(history),
    }
