"""Where the running agent's socket lies, as a command-line tool is told or finds out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DEFAULT_SOCKET = Path("/run/evse-agent/api.sock")
DEFAULT_CONFIG = Path("/etc/evse-agent/config.yaml")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told by ``--config`` or ``--socket``."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--config", metavar="FILE", help="configuration of the running agent")
    place.add_argument("--socket", metavar="PATH", help=f"its socket (else {DEFAULT_SOCKET})")


def socket_path(options: argparse.Namespace) -> Path | None:
    """Return the socket that ``add_options`` were given for; None, and the reason on standard error, when the
    configuration that names it is wrong."""
    if options.socket is not None:
        return Path(options.socket)
    if options.config is None and (DEFAULT_SOCKET.exists() or not DEFAULT_CONFIG.exists()):
        return DEFAULT_SOCKET
    from agent import config

    try:
        return config.load(options.config or DEFAULT_CONFIG, drivers=False).api_path
    except config.ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return None
