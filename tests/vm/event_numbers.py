"""The numbers of OCPP 2's TransactionEvents over power cuts. A network takes a gap for a message that is lost, and a
number that comes a second time under another id for another message (2.0.1 part 2, E 1.3.2.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.journal.journal import Journal
from agent.ocpp.told_numbers import NEXT_TABLE, TABLE
from tests.vm.observer import Record

MOST_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class EventTold:
    """What tells one event from all others."""

    transaction: str
    number: int
    kind: str
    """``Started``, ``Updated`` or ``Ended``."""
    message_id: str

    @classmethod
    def of(cls, record: Record) -> EventTold:
        payload = record.payload
        return cls(
            payload["transactionInfo"]["transactionId"], payload["seqNo"], payload["eventType"], record.message_id
        )


@dataclass(frozen=True, slots=True)
class NumbersKept:
    """What a disk says of numbers."""

    given: Mapping[str, tuple[str, int]]
    """Message id of a record in the line: its transaction and the number it has already."""
    following: Mapping[str, int]
    """Transaction: the number that comes next."""


def numbers_on(journal: Journal) -> NumbersKept:
    """Read them as the charge point does after a boot."""
    known = journal.kept(TABLE)
    given = {
        record.message_id: (record.event.transaction, int(known[str(record.seq)]))
        for record in journal.pending(MOST_RECORDS)
        if str(record.seq) in known
    }
    return NumbersKept(given, {name: int(number) for name, number in journal.kept(NEXT_TABLE).items()})


def numbering(kept: NumbersKept, records: Sequence[Record], seen_s: float, beyond_s: float) -> Iterator[str]:
    """Look at each fact, and say what is wrong with it: an empty text where it is right.

    A charge point that goes on from this disk must tell the network each number once: those that it had told by
    ``seen_s`` under the same ids, the next ones after them, none left out.
    """
    told = [(EventTold.of(record), record) for record in records if record.action == "TransactionEvent"]
    heard: dict[str, dict[int, str]] = defaultdict(dict)
    passed: dict[str, set[int]] = defaultdict(set)
    over = set()
    for event, record in told:
        if record.heard_s <= seen_s:
            heard[event.transaction][event.number] = event.message_id
        if record.answered_by(beyond_s):
            passed[event.transaction].add(event.number)
            if event.kind == "Ended":
                over.add(event.transaction)
    for message_id, (transaction, number) in kept.given.items():
        known = heard[transaction].get(number, message_id)
        text = f"number {number} of {transaction} was told under {known}, and is that of {message_id} on the disk"
        yield "" if known == message_id else text
        passed[transaction].add(number)
    given: dict[str, set[int]] = defaultdict(set)
    for transaction, number in kept.given.values():
        given[transaction].add(number)
    for transaction in {*heard, *given}:
        for number, message_id in heard[transaction].items():
            _, on_disk = kept.given.get(message_id, (transaction, None))
            known_number = on_disk is not None or number in passed[transaction]
            right = known_number and on_disk in (None, number)
            yield "" if right else f"{message_id} of {transaction} was told as number {number}, the disk says {on_disk}"
        gaps = set(range(max(passed[transaction], default=-1) + 1)) - passed[transaction]
        yield f"{transaction} lacks the numbers {sorted(gaps)}" if gaps else ""
        if transaction not in over:
            following = kept.following.get(transaction)
            wanted = max(passed[transaction], default=-1) + 1
            least = max({*heard[transaction], *given[transaction]}) + 1
            right = following is not None and least <= following <= wanted
            yield "" if right else f"{transaction} goes on with number {following}, not {least} to {wanted}"


def objections(records: Sequence[Record], over: bool) -> list[str]:
    """What a network that heard all this would object to. ``over``: all transactions have ended by now."""
    found = []
    by_transaction: dict[str, list[EventTold]] = defaultdict(list)
    for record in records:
        if record.action == "TransactionEvent":
            event = EventTold.of(record)
            by_transaction[event.transaction].append(event)
    for transaction, events in by_transaction.items():
        numbers = sorted(event.number for event in events)
        if numbers != list(range(len(numbers))):
            found.append(f"{transaction} was told with the numbers {numbers}")
        for kind, least in (("Started", 1), ("Ended", int(over))):
            count = sum(event.kind == kind for event in events)
            if not least <= count <= 1:
                found.append(f"{transaction} was told {count} × {kind}")
    return found
