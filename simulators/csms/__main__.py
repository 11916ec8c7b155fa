"""``python -m simulators.csms csms …`` and ``… csms-ctl …``: the same commands without ``evse-sim``."""

from __future__ import annotations

import argparse
import sys

from .cli import add_parser


def main() -> int:
    """Parse and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="evse-sim")
    add_parser(parser.add_subparsers(required=True, metavar="COMMAND"))
    args = parser.parse_args()
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
