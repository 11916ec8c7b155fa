"""``evse-console``: the technician's console on this terminal, on a serial port, or from a file of commands.

Exit status: 0 done; 1 a command failed; 2 wrong usage; 3 no agent answers; 4 refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.console.api import Api
from agent.console.commands import table
from agent.console.serial_port import PortError, serial_terminal, wait_for
from agent.console.shell import EXIT_FAILED, EXIT_USAGE, IDLE_S, Shell, run_batch
from agent.console.terminal import HangupError, Terminal, own_terminal
from agent.console.texts import Texts
from agent.local.place import DEFAULT_CONFIG, add_options, socket_path


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.verify_report is not None:
        return _verify(options)
    path = socket_path(options)
    if path is None:
        return EXIT_USAGE
    if options.batch is not None:
        return _batch(options, path)
    if options.port is not None:
        return _serve_port(options, path)
    if not os.isatty(0):
        print("evse-console: this is no terminal; give --batch FILE (- for standard input)", file=sys.stderr)
        return EXIT_USAGE
    try:
        with own_terminal() as terminal:
            _session(terminal, options, path, need_pin=False)
    except HangupError:
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evse-console", description="The technician's console of a charge point.")
    parser.add_argument("--port", metavar="NODE", help="serve a serial port, for ever (asks for the PIN)")
    parser.add_argument("--baud", type=int, default=115_200, metavar="N", help="its speed (default 115200)")
    parser.add_argument("--batch", metavar="FILE", help="carry out the commands of a file; - for standard input")
    parser.add_argument("--keep-going", action="store_true", help="batch: go on after a command that failed")
    parser.add_argument(
        "--verify-report", metavar="FILE", help="check the signature of a commissioning report; no agent"
    )
    parser.add_argument("--fingerprint", default="", metavar="HEX", help="the key that must have signed it")
    parser.add_argument(
        "--language", default="", metavar="XX", help="language of the texts (default: from LANG, or en)"
    )
    parser.add_argument("--idle", type=float, default=IDLE_S, metavar="S", help="log off after so long without a key")
    add_options(parser)
    return parser


def _verify(options: argparse.Namespace) -> int:
    from agent.console.commissioning.report import verify

    holds, lines = verify(Path(options.verify_report), options.fingerprint)
    print("\n".join(lines), file=sys.stdout if holds else sys.stderr)
    return 0 if holds else EXIT_FAILED


def _texts(options: argparse.Namespace) -> Texts:
    named = (
        options.language or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    )
    return Texts(named[:2].lower())


def _session(terminal: Terminal, options: argparse.Namespace, path: Path, *, need_pin: bool) -> None:
    api = Api(path, terminal.interrupted)
    try:
        Shell(
            table(),
            api,
            _texts(options),
            terminal,
            need_pin=need_pin,
            port=options.port or "",
            config_path=Path(options.config) if options.config else DEFAULT_CONFIG,
            idle_s=options.idle,
        ).run()
    finally:
        api.close()


def _serve_port(options: argparse.Namespace, path: Path) -> int:
    """One session after the other, for as long as the process lives; a cable that goes and comes back is no event."""
    while True:
        seen = os.path.realpath(options.port)
        try:
            with serial_terminal(options.port, options.baud) as terminal:
                while True:
                    terminal.key(None)  # nothing is sent to a line on which nobody has pressed a key
                    terminal.forget_typed()
                    terminal.probe()
                    _session(terminal, options, path, need_pin=True)
        except PortError as error:
            print(f"evse-console: {error}", file=sys.stderr)
            return EXIT_USAGE
        except HangupError as error:
            print(f"evse-console: {error}", file=sys.stderr, flush=True)
            wait_for(options.port, seen)


def _batch(options: argparse.Namespace, path: Path) -> int:
    try:
        text = sys.stdin.read() if options.batch == "-" else Path(options.batch).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"evse-console: {options.batch}: {error}", file=sys.stderr)
        return EXIT_USAGE
    api = Api(path)
    config = Path(options.config) if options.config else DEFAULT_CONFIG
    shell = Shell(table(), api, _texts(options), config_path=config, out=sys.stdout)
    try:
        return run_batch(shell, text.splitlines(), options.keep_going)
    finally:
        api.close()


if __name__ == "__main__":
    sys.exit(main())
