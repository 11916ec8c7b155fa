"""``evse-sim``: simulated hardware and a simulated network operator, each with its controls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import cast

from simulators.csms.cli import add_parser as add_csms
from simulators.lab.cli import add_parser as add_lab


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``evse-sim``. Returns the exit status: 0 done, 2 refused or wrong usage."""
    parser = argparse.ArgumentParser(prog="evse-sim", description=__doc__)
    subparsers = parser.add_subparsers(dest="part", required=True, metavar="PART")
    add_lab(subparsers)
    add_csms(subparsers)
    args = parser.parse_args(argv)
    return cast(Callable[[argparse.Namespace], int], args.run)(args)


if __name__ == "__main__":
    sys.exit(main())
