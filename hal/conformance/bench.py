"""Where the checks work: it makes wires and sessions, and sees that nothing stays open."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hal.conformance import contract
from hal.conformance.findings import Finding, Verdict
from hal.conformance.session import Session
from hal.conformance.subject import Account, Subject
from hal.conformance.timing import Stopwatch
from hal.conformance.wires import Said, Trick, Wire, interpose
from hal.ports import PortKind

SHORTEST_WORD = 3
"""Shorter pieces of a closing command are in too much else to be looked for."""


_RAPI_ID = re.compile(rb" :[0-9A-F]{2}\^[0-9A-F]{2}")
MBAP_PROTOCOL = b"\x00\x00"


def bare(data: bytes) -> bytes:
    """Return a piece without the number that tells one request from the next, where its form shows one.

    Modbus TCP counts its requests in the first two bytes (MBAP header), RAPI in `` :xx`` before the checksum.
    """
    if data[2:4] == MBAP_PROTOCOL and int.from_bytes(data[4:6], "big") == len(data) - 6:
        return data[2:]
    return _RAPI_ID.sub(b"", data)


class Unsettled(Exception):  # noqa: N818 (no error of ours: the driver never got well)
    """The device does not become well with its counterpart."""


class Bench:
    def __init__(self, subject: Subject, wires: dict[str, str] | None = None) -> None:
        self.subject = subject
        self.watch = Stopwatch()
        self.kinds: frozenset[PortKind] = frozenset[PortKind]().union(*subject.driver.units(subject.options).values())
        self.start_words: list[Said] = []
        """What the driver said from its start until it was well, nothing being commanded."""
        self.start_energised: str = ""
        """What energised in that time, by whose account; empty for nothing."""
        self.closing_words: set[bytes] = set()
        """What left for a command to close and for no command to open."""
        self.never_closes = False
        """The contacts were commanded to close once, and did not: no use in waiting for it again."""
        self.took_to_open_s = 0.0
        """From the command to open until the contacts were open, as the check "opens" saw it."""
        self._of_itself = False
        """The counterpart energised before the driver was started, as one does that has a will of its own."""
        self._wires = wires
        self._directory = tempfile.TemporaryDirectory(prefix="conform-")
        self._live: tuple[Session, Wire] | None = None

    def close(self) -> None:
        self.end_live()
        self._directory.cleanup()

    @property
    def energises(self) -> bool:
        return bool(self.kinds & contract.ENERGISING)

    @property
    def safe(self) -> list[contract.Command]:
        return contract.lesson(contract.SAFE, self.kinds)

    @property
    def unavailable(self) -> list[contract.Command]:
        return contract.lesson(contract.UNAVAILABLE, self.kinds)

    @property
    def closing(self) -> list[contract.Command]:
        return contract.lesson(contract.CLOSING, self.kinds)

    def account(self) -> Account | None:
        return None if self.subject.peer is None else self.subject.peer.account()

    def wire(self) -> Wire:
        """Return a new wire, not yet open. Whoever asks closes it."""
        folder = Path(tempfile.mkdtemp(dir=self._directory.name))
        return interpose(self.subject.options, folder, self._wires)

    def lacks(self, check: str, *tricks: Trick) -> Finding | None:
        """Return why a check cannot be made on this wire; None when it can."""
        wire = self._live[1] if self._live is not None else self.wire()
        missing = [trick.value for trick in tricks if trick not in wire.tricks]
        why_not = wire.why_not
        if self._live is None:
            wire.close()
        if not missing:
            return None
        return Finding(check, Verdict.NOT_APPLICABLE, f"{why_not}: cannot {' and '.join(missing)}")

    @contextmanager
    def apart(self) -> Iterator[Session]:
        """A device on a wire with nobody at the other end, in time of our own making; not yet started."""
        self.end_live()
        wire = self.wire()
        wire.open(connected=False)
        session = Session(self.subject, wire, self.watch, virtual=True)
        try:
            yield session
        finally:
            session.close()
            wire.close()

    def live(self) -> Session:
        """Return a device that is well with its counterpart, no command held. Raises Unsettled."""
        if self._live is not None:
            session = self._live[0]
            session.hold = []
            session.command(self.safe)
            if session.run(self.subject.patience.watch_s, session.well):
                return session
            self.end_live()
        wire = self.wire()
        try:
            wire.open(connected=True)
            session = Session(self.subject, wire, self.watch)
        except BaseException:
            wire.close()
            raise
        self._live = session, wire
        account = self.account()
        self._of_itself = account is not None and account.energises
        session.start()
        if session.refused is not None:
            raise Unsettled(f"start refuses: {session.refused}")
        self._watch_start(session)
        return session

    def _watch_start(self, session: Session) -> None:
        patience = self.subject.patience
        settled = session.run(patience.settle_s, lambda: self._looks_well(session))
        if settled:
            session.run(patience.watch_s, lambda: self._looks_well(session) and False)
        self.start_words += session.wire.said
        self._judge_start(session)
        if not settled:
            health = session.health()
            without = ", ".join(session.missing())
            seen = f"health says {health.detail or 'nothing'!r}" if not health.ok else f"no reading from {without}"
            raise Unsettled(f"after {patience.settle_s:g} s {seen}")

    def _looks_well(self, session: Session) -> bool:
        if not self._of_itself:
            self._judge_start(session)
        return session.well()

    def _judge_start(self, session: Session) -> None:
        """Nothing may energise from the start on; where the counterpart did so of itself, not once it is well."""
        account = self.account()
        if account is not None and account.energises:
            what = "its contacts closed" if account.closed else "its pilot offering current"
            self.start_energised = f"the counterpart had {what}"
        elif account is None and session.says_closed():
            self.start_energised = "contactor() said the contacts were closed"

    def end_live(self) -> None:
        """Tell the present device to open and close it."""
        if self._live is None:
            return
        session, wire = self._live
        self._live = None
        session.hold = []
        session.command(self.safe)
        session.close()
        wire.close()
        if self.subject.peer is not None:
            self.subject.peer.ask(False)

    def forget_live(self) -> None:
        """The live device has been closed by the check itself."""
        if self._live is not None:
            wire = self._live[1]
            self._live = None
            wire.close()

    def closed_by_us(self, session: Session) -> bool:
        """Command to close, and tell whether the counterpart does. Only where ``may_close``."""
        if self.never_closes:
            return False
        peer = self.subject.peer
        if peer is not None:
            peer.ask(True)
        self._learn(session)
        session.hold = self.closing
        self.never_closes = not session.run(self.subject.patience.settle_s, self.is_closed(session))
        return not self.never_closes

    def is_closed(self, session: Session) -> Callable[[], bool]:
        def look() -> bool:
            account = self.account()
            return session.says_closed() if account is None else account.closed

        return look

    def is_open(self, session: Session) -> Callable[[], bool]:
        """By the counterpart's own account where there is one, else by the driver's reading."""
        closed = self.is_closed(session)
        return lambda: not closed()

    def _learn(self, session: Session) -> None:
        """Find out what this wire's word for closing is."""
        if not self.closing_words and Trick.RECORD in session.wire.tricks:
            opening = self._words(session, self.safe)
            closing = self._words(session, self.closing[-1:])
            self.closing_words = {word for word in closing - opening if len(word) >= SHORTEST_WORD}
            session.command(self.safe)

    @staticmethod
    def _words(session: Session, commands: list[contract.Command]) -> set[bytes]:
        session.settle_wire()
        begin = len(session.wire.said)
        session.command(commands)
        session.settle_wire()
        return {bare(said.data) for said in session.wire.said[begin:]}
