"""Addresses that the network chose. They are untrusted input: few schemes, no secrets in any log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urljoin, urlsplit

MAX_LENGTH = 2048

PORTS = {"http": 80, "https": 443, "ftp": 21, "ftps": 21}
"""Scheme → usual port. ``ftps`` on port 990 means TLS from the first byte, on any other port AUTH TLS (RFC 4217)."""

FTPS_IMPLICIT_PORT = 990


class AddressError(ValueError):
    """An address that is not taken. The text names rule and remedy and holds no secret."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file lies. ``path`` is as it goes on the wire (with its query); user and password are plain text."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    user: str = ""
    password: str = ""

    @property
    def shown(self) -> str:
        """For logs: without user, password and query, which may hold a signature."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{'?…' if self.query else ''}"

    @property
    def target(self) -> str:
        """Path and query, for HTTP."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def within(self, name: str) -> Address:
        """Return the address of a file of this name in the folder that this is (OCPP 1.6 §6.17: a directory).

        An address with a query (a presigned one) names the file already and stays as it is.
        """
        if self.query:
            return self
        return replace(self, path=f"{self.path.rstrip('/')}/{quote(name)}")

    def redirected(self, location: str) -> Address:
        """Return where a redirect leads. Raises AddressError for a step from TLS to none.

        User and password go along to the same host only.
        """
        here = f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.target}"
        found = parse(urljoin(here, location), ("http", "https"))
        if self.scheme == "https" and found.scheme != "https":
            raise AddressError(f"{self.shown} redirects to {found.shown}, which is not encrypted; use https throughout")
        if not found.user and (found.host, found.port, found.scheme) == (self.host, self.port, self.scheme):
            found = replace(found, user=self.user, password=self.password)
        return found


def parse(text: str, schemes: Collection[str]) -> Address:
    """Read an address. Raises AddressError."""
    if len(text) > MAX_LENGTH or any(not c.isprintable() or c == " " for c in text):
        raise AddressError(f"the address is longer than {MAX_LENGTH} characters or holds blanks or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
        host, user, password = parts.hostname or "", unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        raise AddressError("the address is malformed; write it as https://host/path") from None
    scheme = parts.scheme.lower()
    if scheme not in PORTS or scheme not in schemes:
        raise AddressError(f"scheme {scheme[:20]!r} is not offered; use one of {', '.join(sorted(schemes))}")
    if not host or not _host_like(host):
        raise AddressError("the address names no host; write it as https://host/path")
    if any(c < " " or c == "\x7f" for c in user + password):
        raise AddressError("user or password hold control characters")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if any(c < " " or c == "\x7f" for c in unquote(path)):
        raise AddressError("the path holds control characters")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._")
    return Address(scheme, host, port or PORTS[scheme], path, query, user, password)


def shown(text: str) -> str:
    """What may be logged of any text that should be an address."""
    try:
        return parse(text, tuple(PORTS)).shown
    except AddressError:
        return "(no address that can be read)"


def _host_like(host: str) -> bool:
    return all(c.isalnum() or c in "-._:%" for c in host)
