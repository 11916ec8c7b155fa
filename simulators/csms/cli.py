"""``evse-sim csms`` and ``evse-sim csms-ctl``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import ControlClient, ControlError

if TYPE_CHECKING:
    from .server import Csms

READY_PREFIX = "csms ready "

DEFAULT_VERSIONS = ("ocpp1.6",)
"""As ``dialect`` has it; the client must not wait for what that imports."""

EXIT_FAILED = 1
EXIT_USAGE = 2


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be a port from 0 to 65535; 0 takes a free one")
    return port


def _versions(text: str) -> tuple[str, ...]:
    from .dialect import read_versions

    try:
        return read_versions(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_parser(subparsers: Any) -> None:
    """Add both commands to ``evse-sim``. Each sets ``run``: parsed arguments in, exit code out."""
    serve = subparsers.add_parser("csms", help="run a CSMS for OCPP 1.6, 2.0.1 and 2.1 until stopped")
    serve.add_argument("--port", type=_port, required=True, metavar="P", help="TCP port on 127.0.0.1; 0: a free one")
    serve.add_argument("--dir", type=Path, metavar="DIR", help="folder of the control socket and the frame log")
    unknown = serve.add_mutually_exclusive_group()
    unknown.add_argument("--accept-unknown", dest="accept_unknown", action="store_true", default=True, help="(default)")
    unknown.add_argument("--refuse-unknown", dest="accept_unknown", action="store_false")
    serve.add_argument("--frames", type=Path, metavar="FILE", help="frame log (default: DIR/frames.jsonl)")
    serve.add_argument("--resume", action="store_true", help="read an existing frame log back into the ledger")
    serve.add_argument(
        "--versions",
        type=_versions,
        default=DEFAULT_VERSIONS,
        metavar="LIST",
        help="sub-protocols, most wanted first: ocpp1.6 (default), ocpp2.0.1, ocpp2.1, joined by commas",
    )
    serve.add_argument("--tls-certificate", type=Path, metavar="FILE", help="speak TLS, with this chain (PEM)")
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="and this key")
    serve.add_argument("--client-ca", type=Path, metavar="FILE", help="charge points must show a certificate of it")
    serve.set_defaults(run=run_csms)

    control = subparsers.add_parser(
        "csms-ctl", help="control a running CSMS; `csms-ctl --dir DIR help` lists the words"
    )
    control.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the folder given to `evse-sim csms`")
    control.add_argument("--json", action="store_true", help="answer in JSON on one line")
    control.add_argument("word", metavar="WORD")
    control.add_argument("args", metavar="ARG", nargs=argparse.REMAINDER)
    control.set_defaults(run=run_control)


def run_csms(args: argparse.Namespace) -> int:
    """Run the CSMS until SIGTERM, SIGINT or the word ``stop``."""
    import asyncio

    try:
        return asyncio.run(_serve(args))
    except (OSError, ValueError) as error:
        print(f"evse-sim csms: {error}", file=sys.stderr)
        return EXIT_FAILED


async def _serve(args: argparse.Namespace) -> int:
    import asyncio
    import signal

    from .security import Tls
    from .server import Csms

    if (args.tls_certificate is None) != (args.tls_key is None):
        raise ValueError("--tls-certificate and --tls-key belong together; give both")
    tls = None if args.tls_certificate is None else Tls(args.tls_certificate, args.tls_key, args.client_ca)
    csms: Csms = Csms(
        args.port,
        args.dir,
        frames=args.frames,
        accept_unknown=args.accept_unknown,
        resume=args.resume,
        tls=tls,
        versions=args.versions,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, csms.stopped.set)
    async with csms:
        print(f"{READY_PREFIX}{csms.url}", flush=True)
        await csms.stopped.wait()
    return 0


def run_control(args: argparse.Namespace) -> int:
    """Send one word and print the answer. Exit 0 when it worked, 1 when it did not."""
    words = list(args.args)
    # Everything after WORD belongs to the word; --json is the one option allowed there too.
    as_json = args.json or "--json" in words
    words = [word for word in words if word != "--json"]
    try:
        with ControlClient(args.dir, timeout_s=3600.0) as client:
            result = client.do(args.word, *words)
    except ControlError as error:
        if as_json:
            failure: dict[str, Any] = {"ok": False, "error": str(error)}
            if error.call_error is not None:
                failure["call_error"] = error.call_error
            print(json.dumps(failure))
        else:
            print(f"evse-sim csms-ctl: {error}", file=sys.stderr)
        return EXIT_FAILED
    if as_json:
        print(json.dumps({"ok": True, "result": result}))
    else:
        print(_readable(args.word, result))
    return 0


def _readable(word: str, result: Any) -> str:
    if word == "help":
        width = max(len(usage) for usage in result)
        return "\n".join(f"{usage:{width}}  {text}" for usage, text in result.items())
    if word == "ledger":
        return _readable_ledger(result)
    return json.dumps(result, indent=2, ensure_ascii=False)


def _readable_ledger(books: dict[str, Any]) -> str:
    lines = [
        f"{'tx':>5}  {'charge point':<16} {'conn':>4}  {'idTag':<20} {'start Wh':>10} {'stop Wh':>10} {'energy':>8}  "
        "repeats  reason"
    ]
    for entry in books["transactions"]:
        stop = "open" if entry["meter_stop_wh"] is None else entry["meter_stop_wh"]
        energy = "" if entry["energy_wh"] is None else entry["energy_wh"]
        repeats = f"{entry['start_repeats']}+{entry['stop_repeats']}"
        lines.append(
            f"{entry['transaction_id']:>5}  {entry['charge_point']:<16} {entry['connector_id']:>4}  "
            f"{entry['id_tag']:<20} {entry['meter_start_wh']:>10} {stop:>10} {energy:>8}  {repeats:>7}  "
            f"{entry['reason'] or ''}"
        )
    totals = books["totals"]
    lines.append(
        f"{totals['transactions']} transactions, {totals['open']} open, {totals['energy_wh']} Wh, "
        f"{totals['anomalies']} anomalies"
    )
    lines += [
        f"! {entry['kind']} ({entry['charge_point']} {entry['action']}, frame {entry['frame']}): {entry['detail']}"
        for entry in books["anomalies"]
    ]
    return "\n".join(lines)
