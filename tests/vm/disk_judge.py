"""The judge of one disk after a crash: does everything stand on it that somebody outside had seen by then?

The file system is repaired as a boot would (journal replay), its files are taken out without mounting it, and the
charger's own code opens the journal and the slots.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.config.proving import Trial
from agent.journal.errors import JournalError
from agent.journal.history import TransactionSummary
from agent.journal.journal import Journal
from agent.slots.guard import SlotError, Slots
from agent.station.tokens import Token
from tests.faults.oracle import Hardware, samples
from tests.vm.event_numbers import EventTold, numbering, numbers_on
from tests.vm.observer import Orders, Record

SLACK_S = 10.0
"""An offline record may be written so long after the moment it tells of: an emulated processor, and the guest's clock
is set by the second."""
REGISTER_TOLERANCE_WH = 1.0
MOST_RECORDS = 100_000
E2FSCK_REPAIRED = 1
"""Exit status: errors were corrected. A replayed journal alone ends with 0 or 1."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The outside observer's notes of a whole run."""

    records: Sequence[Record]
    hardware: Sequence[Hardware]
    orders: Orders
    configuration: str = ""
    waiting: frozenset[str] = frozenset()
    """Message ids that waited in the journal before the run."""
    slots: bool = False


@dataclass(slots=True)
class Finding:
    """What one disk lacks. ``held``: how many facts were looked for."""

    held: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, truth: bool, text: str) -> None:
        self.held += 1
        if not truth:
            self.wrong.append(text)


def judge_disk(image: Path, scratch: Path, seen: Seen, seen_s: float, beyond_s: float) -> Finding:
    """``seen_s``: all that was seen outside by then must be there. ``beyond_s``: nothing later may have taken part."""
    finding = Finding()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    checked = subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, text=True)
    finding.expect(checked.returncode <= E2FSCK_REPAIRED, f"e2fsck: {checked.stdout.strip()[-300:]}")
    wanted = [f"rdump /{name} {scratch}" for name in ("state", "etc")]
    if seen.slots:
        wanted.append(f"rdump /opt/trial {scratch}")
    subprocess.run(["debugfs", "-f", "-", str(image)], input="\n".join(wanted), capture_output=True, text=True)
    judge_files(scratch, seen, seen_s, beyond_s, finding)
    return finding


def judge_files(scratch: Path, seen: Seen, seen_s: float, beyond_s: float, finding: Finding) -> None:
    """The same, with the disk's files in ``scratch``: ``etc``, ``state`` and ``trial``."""
    if seen.configuration:
        _configuration(scratch / "etc/config.yaml", seen, seen_s, beyond_s, finding)
    _journal(scratch / "state/journal.db", seen, seen_s, beyond_s, finding)
    if seen.slots:
        _slots(scratch / "trial", seen, seen_s, beyond_s, finding)


def _journal(path: Path, seen: Seen, seen_s: float, beyond_s: float, finding: Finding) -> None:
    due = [record for record in seen.records if record.heard_s <= seen_s]
    if not path.exists():
        finding.expect(not due and not seen.waiting, "there is no journal")
        return
    try:
        journal = Journal.open(path, "judge")
    except JournalError as error:
        finding.expect(False, f"the journal does not open: {error}")
        return
    try:
        finding.expect(journal.quarantined is None, f"the journal was damaged: {journal.quarantined}")
        pending = {record.message_id for record in journal.pending(MOST_RECORDS)}
        finding.expect(journal.unreadable == 0, f"{journal.unreadable} records are unreadable")
        _records(journal, pending, due, beyond_s, finding)
        behind_s = clock_behind_s(seen.records)
        for record in seen.records:
            if record.heard_s > seen_s and record.told_s + behind_s + SLACK_S <= seen_s:
                finding.expect(
                    record.message_id in pending or record.answered_by(beyond_s),
                    f"{record.action} of {seen_s - record.told_s:.1f} s ago is not in the line: {record.payload}",
                )
        answered = {record.message_id for record in seen.records if record.answered_by(beyond_s)}
        gone = seen.waiting - pending - answered
        finding.expect(not gone, f"{len(gone)} records that waited before are gone")
        for text in numbering(numbers_on(journal), seen.records, seen_s, beyond_s):
            finding.expect(not text, text)
        _contacts(journal, seen.hardware, seen_s, finding)
        _documents(journal, seen.orders, seen_s, beyond_s, finding)
        _trial(journal, path.parents[1], finding)
    finally:
        journal.close()


def _configuration(path: Path, seen: Seen, seen_s: float, beyond_s: float, finding: Finding) -> None:
    """One of the files that may stand there, byte for byte."""
    text = path.read_text(errors="replace") if path.exists() else ""
    allowed = seen.orders.may_hold("file", "", seen_s, beyond_s)
    texts = [seen.configuration if each is None else each for each in allowed]
    finding.expect(text in texts, f"the configuration is none of the {len(texts)} that it may be: {text[:200]!r}")


def _trial(journal: Journal, scratch: Path, finding: Finding) -> None:
    """A change on trial can go back: its file is one of the two that it names, and the one before it is kept whole."""
    document = journal.kept_one("config", "trial")
    if document is None:
        return
    trial = Trial.of(document)
    finding.expect(trial is not None, f"the trial of a configuration cannot be read: {document}")
    if trial is None:
        return
    path = scratch / "etc/config.yaml"
    there = sha256(path.read_bytes() if path.exists() else b"").hexdigest()
    finding.expect(there in (trial.before, trial.after), f"the configuration is neither of the two on trial: {trial}")
    kept = scratch / f"state/config/{trial.number:06}.yaml"
    before = sha256(kept.read_bytes() if kept.exists() else b"").hexdigest()
    finding.expect(before == trial.before, f"the file before change {trial.number} is not kept: no way back")


def clock_behind_s(told: Sequence[Record]) -> float:
    """How far the charge point's clock is behind: none of its records was heard sooner after its own time. A machine
    that was frozen takes up its clock where it stood; the charge point learns better at its next heartbeat."""
    return max(0.0, min((record.heard_s - record.told_s for record in told), default=0.0))


def _records(journal: Journal, pending: set[str], due: Sequence[Record], beyond_s: float, finding: Finding) -> None:
    """What the network had heard is still in the line, or had been answered; registers and numbers are the same."""
    told = journal.transactions(MOST_RECORDS)
    for record in due:
        finding.expect(
            record.message_id in pending or record.answered_by(beyond_s),
            f"{record.action} {record.message_id} was heard, never answered, and is not in the line",
        )
        payload = record.payload
        if record.action == "StartTransaction":
            finding.expect(
                any((t.evse, t.start_wh) == (payload["connectorId"], payload["meterStart"]) for t in told),
                f"a start at {payload['meterStart']} Wh on EVSE {payload['connectorId']} was told and is not known",
            )
        elif record.action == "StopTransaction":
            entry = next((t for t in told if t.network_number == payload["transactionId"]), None)
            finding.expect(
                entry is not None and entry.end_wh is not None and abs(entry.end_wh - payload["meterStop"]) < 1,
                f"an end at {payload['meterStop']} Wh was told; the history has {entry}",
            )
        elif record.action == "TransactionEvent":
            _event(told, record, finding)


def _event(told: Sequence[TransactionSummary], record: Record, finding: Finding) -> None:
    """OCPP 2: the history knows the transaction, with the register that its start or end told."""
    event, name = EventTold.of(record), f"{record.payload['eventType']} of {record.payload['transactionInfo']}"
    entry = next((t for t in told if t.transaction == event.transaction), None)
    finding.expect(entry is not None, f"{name} was told, and the transaction is not known")
    registers = [wh for value in record.payload.get("meterValue", ()) for _, wh in samples(value)]
    if entry is None or not registers or event.kind == "Updated":
        return
    known, register = (entry.start_wh, registers[0]) if event.kind == "Started" else (entry.end_wh, registers[-1])
    finding.expect(
        known is not None and abs(known - register) < 1, f"{name} at {register:g} Wh was told; the history has {entry}"
    )


def _contacts(journal: Journal, hardware: Sequence[Hardware], seen_s: float, finding: Finding) -> None:
    """Contacts that were seen closed belong to a transaction with the register as it stood."""
    told = journal.transactions(MOST_RECORDS)
    for place in hardware:
        for closed_s, _ in place.closed:
            if closed_s <= seen_s:
                register = place.register_before(closed_s)
                low, high = register - REGISTER_TOLERANCE_WH, register + REGISTER_TOLERANCE_WH
                finding.expect(
                    any(
                        t.evse == place.evse
                        and t.start_wh is not None
                        and t.start_wh <= high
                        and (t.end_wh is None or t.end_wh >= low)
                        for t in told
                    ),
                    f"EVSE {place.evse} closed at {register:g} Wh, {seen_s - closed_s:.2f} s ago: no transaction",
                )


def _documents(journal: Journal, orders: Orders, seen_s: float, beyond_s: float, finding: Finding) -> None:
    for kind, key in sorted(orders.keys()):
        allowed = orders.may_hold(kind, key, seen_s, beyond_s)
        if kind == "setting":
            found: Any = journal.kept_one("setting", key)
        elif kind == "profile":
            document = journal.kept_one("charging_profile", key)
            found = _limit(document)
        elif kind == "monitor":
            document = journal.kept_one("monitor", key)
            found = document["value"] if document else None
        elif kind == "list":
            found = journal.local_list.version or None
            if found is not None:
                listed = [n for n in range(found) if journal.local_list.get(Token(token(n)).key) is not None]
                finding.expect(len(listed) == found, f"the local list says version {found} and holds {listed}")
        else:
            continue
        finding.expect(found in allowed, f"{kind} {key} is {found!r}, allowed were {allowed!r}")


def token(number: int) -> str:
    """The identifier that version ``number + 1`` of the local list adds."""
    return f"LIST{number:06d}"


def _limit(document: Any) -> Any:
    """The first period's limit of a stored profile; None where there is none."""
    return document["profile"]["periods"][0][1] if document else None


def _slots(root: Path, seen: Seen, seen_s: float, beyond_s: float, finding: Finding) -> None:
    """``current`` leads to one whole slot, of a version that was ordered; the guard finishes what was half done."""
    slots = Slots(root)
    try:
        slots.check()
        name = slots.running()
        about = slots.about(name) if name is not None else None
    except (SlotError, OSError, ValueError) as error:
        finding.expect(False, f"slots: {error}")
        return
    version = str(about["version"]) if about is not None else None
    finding.expect(version is not None, f"current leads to slot {name}, which is not complete")
    if version is None:
        return
    content = (root / "current/bin/python").read_text(errors="replace")
    finding.expect(f"-{version}-" in content or f"-{version}." in content, f"slot says {version}, holds {content!r}")
    allowed = seen.orders.may_hold("slot", "", seen_s, beyond_s)
    finding.expect(version in allowed or None in allowed, f"version {version} runs, allowed were {allowed}")
    json.dumps(slots.show())
