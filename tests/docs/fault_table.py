"""The table of faults of docs/operating.md, made from the rules that control acts by.

``python tests/docs/fault_table.py`` prints it, to be pasted there; ``test_docs.py`` compares.
"""

from __future__ import annotations

from agent.control.faults import FAULTS, FaultLock, FaultPilot, FaultRule, Latch
from agent.link.messages import FaultCode

HEAD = ("Fault", "Seen by", "Detects", "Opens", "Pilot", "Ends", "Row", "Remedy")
_PILOT = {FaultPilot.KEEP: "as it was", FaultPilot.X1: "x1", FaultPilot.F: "F", FaultPilot.X1_THEN_F: "x1, then F"}
_LATCH = {
    Latch.NONE: "by itself, {recover_s:g} s",
    Latch.STATE_A: "state A or a person",
    Latch.UNPLUG: "unplug or a person",
    Latch.PERSON: "a person",
}
_LOCK = {FaultLock.KEEP: "", FaultLock.HOLD: "; the plug stays locked", FaultLock.RELEASE: "; the plug is freed"}


def _seconds(value: float) -> str:
    return "at once" if value == 0.0 else f"{value:g} s"


def _row(code: FaultCode, rule: FaultRule) -> str:
    opens = "does not open" if rule.open_after_s is None else _seconds(rule.open_after_s)
    ends = _LATCH[rule.latch].format(recover_s=rule.recover_s)
    if rule.retries:
        after = f" {rule.retry_s:g} s after it came" if rule.retry_s else f" once gone for {rule.recover_s:g} s"
        ends += f"; {rule.retries} × by itself{after}"
    cells = (
        f"`{code.value}`",
        rule.detector,
        _seconds(rule.detect_s),
        opens + _LOCK[rule.lock],
        _PILOT[rule.pilot],
        ends,
    )
    return f"| {' | '.join(cells)} | {rule.row or '–'} | {rule.remedy} |"


def table() -> list[str]:
    """Return the table's lines in Markdown, one row per fault that control knows."""
    head = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    return head + [_row(code, FAULTS[code]) for code in FaultCode]


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201 (that is what it is for)
