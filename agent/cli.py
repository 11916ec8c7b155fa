"""``evse-agent``: the command line. Each command imports only what it needs.

Exit status: 0 done; 1 failed while running; 2 wrong usage or configuration; 3 no agent answers; 4 the agent refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.local.place import DEFAULT_CONFIG, add_options, socket_path

if TYPE_CHECKING:
    from agent.local.client import LocalClient

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_REFUSED = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except BrokenPipeError:
        # The reader (less, head) went away: no error. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except KeyboardInterrupt:
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evse-agent",
        description="The software of a charge point.",
        epilog="Exit status: 0 done; 1 failed while running; 2 wrong usage or configuration; 3 no agent answers; "
        "4 the agent refused.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        return command

    run = add("run", _run, "run control and agent together in the foreground")
    serve = add("serve", _serve, "run the agent process alone, as a service manager does")
    for command in (run, serve):
        command.add_argument("--config", required=True, metavar="FILE", help="configuration file")
    check = add("check-config", _check_config, "say what is wrong with a configuration file, and where")
    check.add_argument("file", metavar="FILE", help="configuration file")
    status = add("status", _status, "tell what each EVSE does, and why it does not charge")
    status.add_argument("--json", action="store_true", help="the whole document as JSON")
    link = add("link", _link, "drop or restore the link to the operator's network on purpose")
    link.add_argument("wanted", choices=("offline", "online"))
    clear = add("clear-fault", _clear_fault, "clear a latched fault that only a person may clear")
    clear.add_argument("evse", type=int, metavar="EVSE")
    clear.add_argument("code", metavar="CODE", help="fault code as 'evse-agent status' shows it")
    board = add("reset-board", _service, "reset the pilot board of an EVSE (never while the contactor is closed)")
    board.set_defaults(method="board.reset", done="board reset asked for")
    test = add("self-test", _service, "run the residual-current self-test of an EVSE (never while energy flows)")
    test.set_defaults(method="selftest.run", done="self-test asked for")
    for command in (board, test):
        command.add_argument("evse", type=int, metavar="EVSE")
    books = add("transactions", _transactions, "list transactions; try again or export what the network has not got")
    books.add_argument("--json", action="store_true", help="the list as JSON")
    books.add_argument("what", nargs="?", choices=("list", "retry", "export"), default="list")
    books.add_argument("target", nargs="?", metavar="ID|FILE", help="retry: one transaction only; export: the file")
    for command in (books, status, link, clear, board, test):
        add_options(command)
    text = "find meters on a serial line, or read them, without evse-control"
    _add_meter(commands.add_parser("meter", help=text, description=text))
    table = add("can-map", _can_map, "compile a DBC file and its mapping to the table that control reads")
    table.add_argument("mapping", metavar="MAPPING", type=Path, help="mapping file; names its DBC file")
    table.add_argument("--out", metavar="FILE", type=Path, help="where to write (else MAPPING with .can.json)")
    trial = add("test-driver", _test_driver, "check each device's driver against its contract, on the real wire")
    trial.add_argument("--config", required=True, metavar="FILE", help="configuration file")
    trial.add_argument("--device", metavar="NAME", help="this device only")
    trial.add_argument("--json", action="store_true", help="the reports as JSON")
    trial.add_argument(
        "--with-contactor", action="store_true", help="may close main contacts, after typed consent; with no vehicle"
    )
    doctor = add("doctor", _doctor, "look at this installation and say what to fix")
    doctor.add_argument("--config", metavar="FILE", default=str(DEFAULT_CONFIG), help="configuration (%(default)s)")
    doctor.add_argument("--json", action="store_true", help="the findings as JSON")
    add("version", _version, "print the version")
    return parser


def _add_meter(meter: argparse.ArgumentParser) -> None:
    actions = meter.add_subparsers(required=True, metavar="ACTION")
    text = "find out which known meters answer on a serial line, at which address, speed and parity"
    probe = actions.add_parser("probe", help=text, description=text)
    probe.set_defaults(command=_meter_probe)
    probe.add_argument("port", metavar="PORT", help="serial node of the line")
    probe.add_argument("--speeds", metavar="LIST", help="line speeds to try (9600,19200,2400,38400)")
    probe.add_argument("--formats", metavar="LIST", default="8N1,8E1", help="of 8N1, 8E1, 8O1, 8N2 (%(default)s)")
    probe.add_argument("--addresses", metavar="LIST", default="1-247", help="addresses to try (%(default)s)")
    probe.add_argument("--timeout", metavar="S", type=float, default=0.15, help="wait for each answer (%(default)s)")
    probe.add_argument("--limit", metavar="S", type=float, default=900.0, help="stop after so long (%(default)g)")
    probe.add_argument(
        "--everywhere", action="store_true", help="every address at every speed, even once one was found"
    )
    text = "show what meters read now, of the configuration or one on a serial line"
    read = actions.add_parser("read", help=text, description=text)
    read.set_defaults(command=_meter_read)
    read.add_argument("port", metavar="PORT", nargs="?", help="serial node; without it the meters of the configuration")
    read.add_argument("--config", metavar="FILE", default=str(DEFAULT_CONFIG), help="configuration (%(default)s)")
    read.add_argument("--map", metavar="M", help="register map of the meter at PORT, by name or path")
    read.add_argument("--address", metavar="A", type=int, default=1, help="its Modbus address (%(default)s)")
    read.add_argument("--baud", metavar="BD", type=int, default=9600, help="speed of the line (%(default)s)")
    read.add_argument("--format", metavar="F", default="8N1", help="its format (%(default)s)")
    read.add_argument("--watch", action="store_true", help="go on once a second until stopped")
    for command in (probe, read):
        command.add_argument("--json", action="store_true", help="the same as JSON")


def _meter_probe(options: argparse.Namespace) -> int:
    from agent.tools import meter_tool

    return meter_tool.run_probe(options)


def _meter_read(options: argparse.Namespace) -> int:
    from agent.tools import meter_read

    return meter_read.run_read(options)


def _can_map(options: argparse.Namespace) -> int:
    from agent.tools import can_map

    return EXIT_OK if can_map.run(options.mapping, options.out) else EXIT_USAGE


def _run(options: argparse.Namespace) -> int:
    from agent import supervisor

    return supervisor.run(options.config, lambda: _report_findings(options.config))


def _serve(options: argparse.Namespace) -> int:
    from agent import app

    return app.main(["--config", options.config])


def _check_config(options: argparse.Namespace) -> int:
    status = _report_findings(options.file)
    if status == EXIT_OK:
        print(f"{options.file}: {_described(options.file)}")
    return status


def _report_findings(path: str) -> int:
    from agent import config

    findings = config.check(path, _setting_problem)
    for finding in findings:
        print(finding, file=sys.stderr)
    return EXIT_USAGE if findings else EXIT_OK


def _setting_problem(name: str, value: str) -> str:
    """Judge an entry of ``ocpp.settings`` by the table of OCPP 1.6 keys."""
    from agent.config.findings import nearest
    from agent.ocpp.v16.configuration import key_table

    keys = key_table()
    key = keys.get(name.casefold())
    if key is None:
        near = nearest(name, (known.name for known in keys.values()))
        return "is no OCPP 1.6 key of this charge point" + (near or "; correct its spelling, or remove it")
    return key.problem(value).removeprefix(f"{key.name}: ").removeprefix(f"{key.name} ")


def _described(path: str) -> str:
    from agent import config

    read = config.load(path)
    evses = "1 EVSE" if len(read.evses) == 1 else f"{len(read.evses)} EVSEs"
    devices = "1 device" if len(read.devices) == 1 else f"{len(read.devices)} devices"
    network = f"the network at {read.ocpp.url}" if read.ocpp.url else "no network"
    return f"good: {read.station.vendor} {read.station.model} {read.identity!r}, {evses} on {devices}, {network}"


def _status(options: argparse.Namespace) -> int:
    import json

    def show(client: LocalClient) -> None:
        document = client.call("status")
        if options.json:
            print(json.dumps(document, indent=2))
            return
        from agent.local.screen import screen

        encoding = sys.stdout.encoding or "ascii"
        print(screen(document).encode(encoding, "replace").decode(encoding))

    return _with_client(options, show)


def _link(options: argparse.Namespace) -> int:
    online = options.wanted == "online"

    def switch(client: LocalClient) -> None:
        client.call("link.set", online=online)
        print("the link may connect" if online else "the link is dropped until 'evse-agent link online'")

    return _with_client(options, switch)


def _clear_fault(options: argparse.Namespace) -> int:
    def clear(client: LocalClient) -> None:
        client.call("fault.clear", evse=options.evse, code=options.code)
        print(f"EVSE {options.evse}: {options.code} is cleared as soon as its cause is gone; see 'evse-agent status'")

    return _with_client(options, clear)


def _service(options: argparse.Namespace) -> int:
    def ask(client: LocalClient) -> None:
        client.call(options.method, evse=options.evse)
        print(f"EVSE {options.evse}: {options.done}; see 'evse-agent status' for what came of it")

    return _with_client(options, ask)


def _transactions(options: argparse.Namespace) -> int:
    if (options.what == "list" and options.target) or (options.what == "export" and not options.target):
        print("usage: evse-agent transactions [--json] [list | retry [ID] | export FILE]", file=sys.stderr)
        return EXIT_USAGE
    from agent.local import transactions

    status = EXIT_OK

    def use(client: LocalClient) -> None:
        nonlocal status
        if options.what == "list":
            print(transactions.listed(client, options.json))
        elif options.what == "retry":
            print(transactions.retried(client, options.target))
        else:
            try:
                print(transactions.exported(client, Path(options.target)))
            except OSError as error:
                print(f"evse-agent: {options.target}: {error.strerror or error}; choose another file", file=sys.stderr)
                status = EXIT_FAILED

    return _with_client(options, use) or status


def _test_driver(options: argparse.Namespace) -> int:
    from agent.tools import driver_test

    return driver_test.run(options.config, options.device, options.json, options.with_contactor, sys.stdout, sys.stdin)


def _doctor(options: argparse.Namespace) -> int:
    from agent.tools import doctor

    text, status = doctor.run(Path(options.config), options.json)
    print(text)
    return status


def _version(_: argparse.Namespace) -> int:
    from agent import __version__

    print(f"evse-agent {__version__}")
    return EXIT_OK


def _with_client(options: argparse.Namespace, use: Callable[[LocalClient], Any]) -> int:
    from agent.local.client import CallError, LocalClient, UnreachableError

    path = socket_path(options)
    if path is None:
        return EXIT_USAGE
    try:
        with LocalClient(path) as client:
            use(client)
    except UnreachableError as error:
        print(f"evse-agent: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    except CallError as error:
        print(f"evse-agent: refused: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
