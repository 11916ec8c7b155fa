"""``evse-slots``: install a signed bundle into the slot that does not run, switch, confirm, roll back.

Exit status: 0 done; 10 in place, runs after a restart; 11 the file must not be installed; 1 failed; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agent.slots import bundle, request
from agent.slots.guard import SlotError, Slots
from agent.slots.install import EXIT_BAD_FILE, Installer
from agent.slots.preset import TRUSTED

ROOT = Path("/opt/evse-agent")
REQUESTS = Path("/var/lib/evse-agent/update")
ANSWERS = Path("/run/evse-slots")

EARLIEST_CLOCK_UTC_S = 1_735_689_600.0
"""1 January 2025. A clock before this was never set, and judges no certificate."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.command == "pack":
        return _pack(options)
    if options.command == "ask":
        status, text = request.ask(options.requests, options.answers, options.wanted, options.file, options.timeout)
        return _say(status, text)
    slots = Slots(options.root)
    installer = Installer(slots, _trust(options), python=options.python)
    if options.command == "serve":
        return _say(*request.serve(options.requests, options.answers, slots, installer))
    if options.command == "install":
        return _say(*request.perform("install", options.file, slots, installer))
    if options.command == "show":
        return _say(0, json.dumps(slots.show(), indent=2))
    if options.command == "check":
        try:
            with slots.locked():
                return _say(0, slots.check())
        except (SlotError, OSError) as error:
            return _say(1, f"check: {error}")
    return _say(*request.perform(options.command, Path(), slots, installer))


def _say(status: int, text: str) -> int:
    if text:
        sys.stdout.write(f"{text}\n")
    return status


def _trust(options: argparse.Namespace) -> bundle.Trust:
    now = time.time()
    return bundle.Trust(
        bundle.read_roots(options.trust or [TRUSTED]), now if now >= EARLIEST_CLOCK_UTC_S else None, options.crl
    )


def _pack(options: argparse.Namespace) -> int:
    try:
        manifest = bundle.pack(
            options.out,
            options.wheels,
            options.version,
            options.key.read_bytes(),
            options.certificate.read_text("ascii"),
            architecture=options.architecture,
            python=options.for_python,
            downgrade=options.downgrade,
        )
    except (bundle.BundleError, OSError, ValueError) as error:
        return _say(EXIT_BAD_FILE, f"pack: {error}")
    return _say(0, f"{options.out}: version {manifest.version}, {len(manifest.files)} wheels")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evse-slots",
        description="The two slots of the software: install, try, keep or take back.",
        epilog="Exit status: 0 done; 10 in place, runs after a restart; 11 the file must not be installed; "
        "1 failed; 2 wrong usage.",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="where the slots lie (%(default)s)")
    parser.add_argument(
        "--trust", type=Path, action="append", metavar="FOLDER", help=f"the manufacturer's roots ({TRUSTED})"
    )
    parser.add_argument("--crl", type=Path, metavar="FILE", help="revocation list of the manufacturer's root")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the new environment")
    parser.add_argument("--requests", type=Path, default=REQUESTS, help="where the agent asks (%(default)s)")
    parser.add_argument("--answers", type=Path, default=ANSWERS, help="where it is answered (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("install", "check a bundle, put it into the other slot, switch to it for the next start"),
        ("check", "before each start: finish what a power cut left, count the start, take a bad version back"),
        ("confirm", "keep the version that runs"),
        ("roll-back", "take a version back that has not been confirmed"),
        ("restart", "start control and agent afresh"),
        ("show", "what is in the slots, as JSON"),
        ("serve", "answer the request that the agent has put (started by a path unit)"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name == "install":
            command.add_argument("file", type=Path, metavar="FILE")
    text = "put a request to the service with the rights, and wait for its answer (what update.install calls)"
    asking = commands.add_parser("ask", help=text, description=text)
    asking.add_argument("wanted", choices=request.COMMANDS)
    asking.add_argument("file", type=Path, nargs="?", metavar="FILE")
    asking.add_argument("--timeout", type=float, default=1500.0, metavar="S")
    text = "make a bundle of wheels, signed with the manufacturer's key"
    pack = commands.add_parser("pack", help=text, description=text)
    pack.add_argument("--version", required=True)
    pack.add_argument("--key", type=Path, required=True, metavar="PEM")
    pack.add_argument("--certificate", type=Path, required=True, metavar="PEM")
    pack.add_argument("--architecture", default="any", help="as 'uname -m' tells it (%(default)s)")
    pack.add_argument("--for-python", default="any", metavar="X.Y")
    pack.add_argument("--downgrade", action="store_true", help="it may follow a newer version")
    pack.add_argument("--out", type=Path, required=True, metavar="FILE")
    pack.add_argument("wheels", type=Path, nargs="+", metavar="WHEEL")
    return parser


if __name__ == "__main__":
    sys.exit(main())
