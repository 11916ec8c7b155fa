"""``make faults``: run the campaign, show progress, write the report.

Options: ``--attack NAME`` (repeatable; default all), ``--form full|short|control|all``, ``--version ocpp2.0.1``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.attack import Attack, Outcome
from tests.faults.catalogue import attacks
from tests.faults.speech import SUBPROTOCOLS, speaking

RESULTS = Path("build/faults.json")


def main(arguments: Sequence[str] | None = None) -> int:
    known = {attack.name: attack for attack in attacks()}
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--attack", action="append", choices=sorted(known), metavar="NAME", help=", ".join(sorted(known))
    )
    parser.add_argument("--form", choices=("full", "short", "control", "all"), default="all")
    parser.add_argument("--version", choices=SUBPROTOCOLS, default=SUBPROTOCOLS[0], help="of OCPP, by its sub-protocol")
    options = parser.parse_args(arguments)
    chosen = [known[name] for name in options.attack or known]
    forms = ("full", "control") if options.form == "all" else (options.form,)
    results: dict[str, dict[str, object]] = {}
    good = True
    for attack in chosen:
        for form in forms:
            with speaking(options.version):
                outcome, seconds = _run(attack, form)
            as_hoped = outcome.clean if form != "control" else not outcome.clean
            good = good and as_hoped
            under = "" if options.version == SUBPROTOCOLS[0] else f".{options.version}"
            results[f"{attack.name}.{form}{under}"] = {
                **asdict(outcome),
                "seconds": round(seconds, 1),
                "as_hoped": as_hoped,
            }
            _say(f"{attack.name} {form}: {_words(outcome, form, as_hoped)} in {seconds:.0f} s")
            for note in outcome.notes:
                _say(f"    {note}")
            RESULTS.parent.mkdir(exist_ok=True)
            earlier = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
            RESULTS.write_text(json.dumps({**earlier, **results}, indent=1), encoding="utf-8")
    return 0 if good else 1


def _run(attack: Attack, form: str) -> tuple[Outcome, float]:
    _say(f"{attack.name} {form}: {attack.title}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"evse-faults-{attack.name}-") as directory:
        run = {"full": attack.full, "short": attack.short, "control": attack.felt}[form]
        outcome = run(Path(directory), lambda text: _say(f"    {time.monotonic() - began:6.0f} s  {text}"))
    return outcome, time.monotonic() - began


def _words(outcome: Outcome, form: str, as_hoped: bool) -> str:
    figures = (
        f"{outcome.trials} trials, {outcome.transactions} transactions, {outcome.lost} lost, "
        f"{outcome.doubled} doubled, {outcome.wrong} wrong, {outcome.closed} closed that should be open"
    )
    if form == "control":
        return f"{figures} – {'fails as it should' if as_hoped else 'DOES NOT FAIL: the attack sees nothing'}"
    return f"{figures} – {'clean' if as_hoped else 'NOT CLEAN'}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
