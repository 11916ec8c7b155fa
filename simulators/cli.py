"""``evse-sim``: simulated hardware, its controls, and a simulated network operator."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import cast


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``evse-sim``. Returns the exit status: 0 done, 2 refused or wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="evse-sim", description=__doc__)
    subparsers = parser.add_subparsers(dest="part", required=True, metavar="PART")
    # The network's simulator loads the OCPP library; hardware does without it.
    if _wants(arguments, "csms"):
        from simulators.csms.cli import add_parser as add_csms

        add_csms(subparsers)
    else:
        subparsers.add_parser("csms", help="a network operator's central system", add_help=False)
    if _wants(arguments, "lab", "ctl"):
        from simulators.lab.cli import add_parser as add_lab

        add_lab(subparsers)
    else:
        subparsers.add_parser("lab", help="put simulated hardware up behind ptys, until stopped", add_help=False)
        subparsers.add_parser("ctl", help="rule a running lab", add_help=False)
    args = parser.parse_args(arguments)
    return cast(Callable[[argparse.Namespace], int], args.run)(args)


def _wants(arguments: Sequence[str], *parts: str) -> bool:
    """The first word that is no option names the part."""
    return next((word for word in arguments if not word.startswith("-")), "") in parts


if __name__ == "__main__":
    sys.exit(main())
