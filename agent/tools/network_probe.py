"""Looks at the way to a host step by step: addresses, route, name, TCP, TLS. A process of its own.

``python -m agent.tools.network_probe``: one JSON question on stdin, one JSON answer per line on stdout. A name look-up
cannot be cut short in a thread, and the agent is not to carry the library that reads certificates; a process can be
killed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TCP_S = 5.0
MOST_TRIES = 4
SOON_S = 30 * 86_400.0
"""A certificate that ends so soon is worth a word."""


@dataclass(frozen=True, slots=True)
class Question:
    """``secure``: TLS is spoken there. ``utc_s`` None: no clock to judge dates by. ``roots``: files, empty for the
    system's own. ``count``: of pings."""

    work: str
    host: str
    port: int = 0
    secure: bool = False
    utc_s: float | None = None
    roots: tuple[str, ...] = ()
    count: int = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """``ok`` None: neither good nor bad. ``remedy`` where something is wrong."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""


# ---- this machine ----


def interfaces(root: Path = Path("/")) -> Finding:
    found = []
    for path in sorted((root / "sys/class/net").glob("*")):
        if path.name == "lo":
            continue
        state = _read(path / "operstate").strip() or "unknown"
        addresses = _addresses(path.name, root)
        if addresses or state == "up":
            found.append((bool(addresses), f"{path.name} {state}: {', '.join(addresses) or 'no address'}"))
    if any(good for good, _ in found):
        return Finding("address", True, "; ".join(text for _, text in found))
    text = "; ".join(text for _, text in found) or "no interface is up"
    return Finding("address", False, text, "see to cable, SIM card or WLAN, and that DHCP gives an address")


def _addresses(name: str, root: Path) -> list[str]:
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        answer = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name[:15].encode()))  # SIOCGIFADDR
        found.append(socket.inet_ntoa(answer[20:24]))
    for line in _read(root / "proc/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == 6 and words[5] == name and words[3] != "20":  # not of the link alone
            found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])))
    return found


def gateway(root: Path = Path("/")) -> Finding:
    found = []
    for line in _read(root / "proc/net/route").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == "00000000" and words[7] == "00000000":
            found.append(f"{socket.inet_ntoa(struct.pack('=I', int(words[2], 16)))} on {words[0]}")
    for line in _read(root / "proc/net/ipv6_route").splitlines():
        words = line.split()
        if len(words) == 10 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            found.append(f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[4]))} on {words[9]}")
    if found:
        return Finding("gateway", True, ", ".join(dict.fromkeys(found)))
    return Finding("gateway", False, "no way out of this network is known", "set a gateway, or have DHCP tell one")


def resolvers(root: Path = Path("/")) -> list[str]:
    lines = [line.split() for line in _read(root / "etc/resolv.conf").splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


# ---- the way to the host ----


def way(question: Question) -> Iterator[Finding]:
    """Yield what is found, step by step; a step that fails ends it."""
    yield interfaces()
    route = gateway()
    name, places = _resolved(question)
    local = any(place[0].startswith(("127.", "::1")) for place in places)
    yield Finding("gateway", None, "not needed: the host is this machine") if local and not route.ok else route
    yield name
    if not places:
        return
    finding, reached = _connected(question, places)
    yield finding
    if reached is None or not question.secure:
        return
    with reached:
        yield from _tls(question, reached, places)


def _resolved(question: Question) -> tuple[Finding, list[tuple[str, int]]]:
    began = time.monotonic()
    servers = ", ".join(resolvers()) or "none"
    try:
        found = socket.getaddrinfo(question.host, question.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        text = f"{question.host}: {getattr(error, 'strerror', None) or error} (name servers: {servers})"
        remedy = "check the spelling in ocpp.url, and the name servers in /etc/resolv.conf"
        return Finding("name", False, text, remedy), []
    places = list(dict.fromkeys((str(entry[4][0]), int(entry[4][1])) for entry in found))
    took_ms = (time.monotonic() - began) * 1000
    text = f"{question.host} is {', '.join(address for address, _ in places[:4])} ({took_ms:.0f} ms)"
    return Finding("name", True, text), places


def _connected(question: Question, places: list[tuple[str, int]]) -> tuple[Finding, socket.socket | None]:
    failed = []
    for address, port in places[:MOST_TRIES]:
        began = time.monotonic()
        try:
            reached = socket.create_connection((address, port), TCP_S)
        except OSError as error:
            failed.append(f"{address}: {error.strerror or error}")
            continue
        return Finding("tcp", True, f"{address} port {port} in {(time.monotonic() - began) * 1000:.0f} ms"), reached
    text = f"port {question.port}: {'; '.join(failed)}"
    return Finding("tcp", False, text, "check the port in ocpp.url, and that no firewall is in the way"), None


def _tls(question: Question, reached: socket.socket, places: list[tuple[str, int]]) -> Iterator[Finding]:
    context = _context(question)
    try:
        with context.wrap_socket(reached, server_hostname=question.host) as link:
            yield Finding(
                "tls", True, f"{link.version()}, {(link.cipher() or ('?',))[0]}; chain and host name are good"
            )
            yield from _dates(question, link.getpeercert(True))
            return
    except ssl.SSLCertVerificationError as error:
        yield Finding("tls", False, f"the certificate is refused: {error.verify_message}", _remedy(error))
    except (ssl.SSLError, OSError) as error:
        remedy = "check the port in ocpp.url; is this a server of TLS 1.2 or newer?"
        yield Finding("tls", False, f"no TLS: {getattr(error, 'reason', '') or error}", remedy)
        return
    # Once more without judging, to say what the refused one holds.
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError):
        fresh = socket.create_connection(places[0], TCP_S)
        with fresh, blind.wrap_socket(fresh, server_hostname=question.host) as link:
            yield from _dates(question, link.getpeercert(True))


def _context(question: Question) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not question.roots:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    for path in question.roots:
        with contextlib.suppress(OSError, ssl.SSLError):
            context.load_verify_locations(cafile=path)
    return context


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    words = error.verify_message.lower()
    if "expired" in words or "not yet valid" in words:
        return "see 'time': is the clock right? if it is, the network has to renew its certificate"
    if "hostname" in words or "ip address" in words:
        return "the certificate is for another name; give that name in ocpp.url"
    return "put the root that it chains to into ocpp.ca_file"


def _dates(question: Question, der: bytes | None) -> Iterator[Finding]:
    if not der:
        return
    try:
        from cryptography import x509

        one = x509.load_der_x509_certificate(der)
        begin, end = one.not_valid_before_utc, one.not_valid_after_utc
        text = f"{one.subject.rfc4514_string()[:60]}, valid {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    except (ImportError, ValueError) as error:
        yield Finding("certificate", None, f"cannot be read: {error}")
        return
    if question.utc_s is None:
        yield Finding("certificate", None, f"{text}; the clock is not set, so dates cannot be judged")
    elif not begin.timestamp() <= question.utc_s <= end.timestamp():
        yield Finding("certificate", False, text, "see 'time'; if the clock is right, it has to be renewed")
    elif end.timestamp() - question.utc_s < SOON_S:
        yield Finding("certificate", True, f"{text}: it ends soon", "tell the network's operator")
    else:
        yield Finding("certificate", True, text)


# ---- ping ----


def ping(question: Question) -> Iterator[Finding]:
    """Yield one finding for each try: an echo without a port, a TCP connection with one."""
    name, places = _resolved(question)
    yield name
    if not places:
        return
    address, port = places[0]
    for number in range(max(1, min(question.count, 20))):
        if number:
            time.sleep(0.5)
        began = time.monotonic()
        try:
            if port:
                socket.create_connection((address, port), TCP_S).close()
            else:
                _echo(address, number)
        except PermissionError:
            yield Finding("echo", None, "this user may not send echoes; give a port: ping HOST PORT")
            return
        except OSError as error:
            yield Finding(str(number + 1), False, f"{address}: {error.strerror or error or 'no answer'}")
        else:
            yield Finding(str(number + 1), True, f"{address}: {(time.monotonic() - began) * 1000:.1f} ms")


def _echo(address: str, number: int) -> None:
    """Send an echo request over an unprivileged ICMP socket (net.ipv4.ping_group_range) and wait for its answer."""
    six = ":" in address
    family, kind = (socket.AF_INET6, 128) if six else (socket.AF_INET, 8)
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as link:
        link.settimeout(TCP_S)
        link.connect((address, 0))
        # The kernel fills in identifier and checksum (icmp(7) names them not; Documentation/networking: ping sockets).
        link.send(struct.pack("!BBHHH", kind, 0, 0, 0, number) + b"evse-agent")
        link.recv(256)


def main() -> int:
    values: dict[str, Any] = json.loads(sys.stdin.readline())
    question = Question(**{**values, "roots": tuple(values.get("roots", ()))})
    for finding in way(question) if question.work == "way" else ping(question):
        sys.stdout.write(json.dumps(asdict(finding)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
