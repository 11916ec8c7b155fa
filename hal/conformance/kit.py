"""``examine``: every check, in an order that spares the counterpart, and a report of what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hal.conformance import alone, live
from hal.conformance.bench import Bench, Unsettled
from hal.conformance.findings import CHECKS, Finding, Report, Verdict
from hal.conformance.subject import Subject
from hal.conformance.timing import BUDGET_S, LONGEST_S, Stopwatch, quiet_collector

Check = Callable[[Bench], Finding]

ALONE: Mapping[str, Check] = {
    "options": alone.options,
    "units": alone.units,
    "before-start": alone.before_start,
    "absent-node": alone.absent_node,
    "before-known": alone.before_known,
    "garbage": alone.garbage,
}
"""Checks that need no counterpart."""
TOGETHER: Mapping[str, Check] = {
    "units": live.units,
    "two-owners": live.two_owners,
    "repeats": live.repeats,
    "opens": live.opens,
    "start-safe": live.start_safe,
    "restart": live.restart,
    "garbage": live.garbage,
    "unplug": live.unplug,
    "close": live.close,
    "silence": live.silence,
    "stale": live.stale,
}
"""Checks that need a counterpart that answers."""


def examine(subject: Subject, wires: dict[str, str] | None = None) -> Report:
    """Ask everything of the driver. Raises ``wires.NodeError`` when another program has its node.

    Takes some ten to forty seconds. ``wires`` replaces ``hal.conformance.wires.WIRES``.
    """
    bench = Bench(subject, wires)
    found: dict[str, Finding] = {}
    wire = bench.wire()
    label = wire.label
    wire.close()
    try:
        with quiet_collector():
            for name, check in ALONE.items():
                found[name] = _made(bench, check)
            _together(bench, found)
    finally:
        bench.close()
    found["blocking"] = _blocking(bench.watch)
    found["exceptions"] = _exceptions(bench.watch)
    return Report(subject.name, subject.driver.name, label, tuple(found[name] for name in CHECKS))


def examine_alone(subject: Subject, wires: dict[str, str] | None = None) -> list[Finding]:
    """Ask only what needs no counterpart, which takes a second; what raised or blocked meanwhile is told as well."""
    bench = Bench(subject, wires)
    try:
        with quiet_collector():
            found = [_made(bench, check) for check in ALONE.values()]
    finally:
        bench.close()
    return [*found, _blocking(bench.watch), _exceptions(bench.watch)]


def _together(bench: Bench, found: dict[str, Finding]) -> None:
    try:
        found["settles"] = _made(bench, _settles)
    except Unsettled as reason:
        found["settles"] = Finding("settles", Verdict.FAIL, str(reason))
        for name in TOGETHER:
            found.setdefault(name, Finding(name, Verdict.NOT_APPLICABLE, "it never became well with its counterpart"))
        found["start-safe"] = live.start_safe(bench)
        return
    for name, check in TOGETHER.items():
        before = found.get(name)
        if before is not None and before.verdict is Verdict.FAIL:
            continue
        try:
            after = _made(bench, check)
        except Unsettled as reason:
            after = Finding(name, Verdict.FAIL, f"not well again before this check: {reason}")
        keep = before is not None and before.verdict is Verdict.PASS and after.verdict is Verdict.NOT_APPLICABLE
        if before is None or not keep:
            found[name] = after


def _settles(bench: Bench) -> Finding:
    bench.end_live()
    bench.live()
    return Finding("settles", Verdict.PASS)


def _made(bench: Bench, check: Check) -> Finding:
    """Make a check; again where a call took too long in it, since only what happens every time is the driver's."""
    watch = bench.watch
    earlier, watch.breaches = watch.breaches, {}
    findings: list[Finding] = []

    def make() -> None:
        findings.append(check(bench))

    try:
        make()
        watch.blame(watch.again(make))
    finally:
        watch.blame(earlier)
    return next((finding for finding in findings if finding.verdict is Verdict.FAIL), findings[0])


def _blocking(watch: Stopwatch) -> Finding:
    calls = sum(len(times) for name, times in watch.took_s.items())
    loop = {name: times for name, times in watch.took_s.items() if name not in ("start", "close", "create")}
    longest = max(loop, key=lambda name: max(loop[name]))
    measured: dict[str, float | int | str] = {
        "calls": calls,
        "p99 ms": round(watch.quantile_s(0.99) * 1e3, 3),
        "max ms": round(max(loop[longest]) * 1e3, 3),
        "in": longest,
        "late by the machine": watch.acquitted,
    }
    slow = [
        f"{name} {len(times)} times, {max(times) * 1e3:.1f} ms at worst, of {_budget_ms(name):g} ms"
        for name, times in watch.breaches.items()
    ]
    return Finding("blocking", Verdict.FAIL if slow else Verdict.PASS, "; ".join(slow), measured)


def _budget_ms(name: str) -> float:
    return (LONGEST_S if name in ("start", "close") else BUDGET_S) * 1e3


def _exceptions(watch: Stopwatch) -> Finding:
    told = {f"{name}: {type(error).__name__}: {error}" for name, error in watch.raised}
    text = "; ".join(sorted(told)[:5])
    return Finding("exceptions", Verdict.FAIL if told else Verdict.PASS, text, {"raised": len(watch.raised)})
