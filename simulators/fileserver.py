"""A file server over HTTP(S) or FTP(S) that can be broken on purpose: slow, cut in the middle, wrong size, refusing.

    with FileServer("ftp") as server:
        server.files["/firmware.bin"] = b"..."
        server.faults.cut_after = [1000]        # the first transfer ends after 1000 bytes
        fetch(server.url("/firmware.bin"))

It binds loopback only and keeps everything in memory. What was asked of it stands in ``requests``.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

CHUNK = 4096


@dataclass(slots=True)
class Faults:
    """What goes wrong. The lists are used up, one entry per transfer."""

    cut_after: list[int] = field(default_factory=list)
    """The connection goes after so many bytes."""
    refuse: list[int] = field(default_factory=list)
    """Answer with this status (HTTP) or reply code (FTP) instead."""
    stall_after: list[int] = field(default_factory=list)
    """Say nothing more after so many bytes, but stay connected."""
    redirect: dict[str, str] = field(default_factory=dict)
    """Path → where it lies now (HTTP)."""
    bytes_per_s: float = 0.0
    """0: as fast as it goes."""
    lies_about_size: int = 0
    """Added to the size that is told."""
    ranges: bool = True
    """Can go on in the middle."""
    put: bool = True
    """Takes PUT (HTTP)."""


class FileServer:
    """``scheme``: http, https, ftp or ftps (``implicit``: TLS from the first byte). ``user``: needed when not empty."""

    def __init__(
        self,
        scheme: str,
        context: ssl.SSLContext | None = None,
        *,
        user: str = "",
        password: str = "",
        implicit: bool = False,
    ) -> None:
        self.scheme = scheme
        self.files: dict[str, bytes] = {}
        self.faults = Faults()
        self.requests: list[tuple[str, str, str]] = []
        """(verb, path, range or offset)"""
        self.user, self.password = user, password
        self.context = context
        self.implicit = implicit
        self.closing = threading.Event()
        server: ThreadingTCPServer | ThreadingHTTPServer
        if scheme in ("http", "https"):
            server = _HttpServer(("127.0.0.1", 0), _HttpHandler)
        else:
            server = _FtpServer(("127.0.0.1", 0), _FtpHandler)
        server.daemon_threads = True
        server.block_on_close = False
        server.owner = self
        if context is not None and (scheme == "https" or implicit):
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server = server
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        user = f"{self.user}:{self.password}@" if self.user else ""
        return f"{self.scheme}://{user}{host}:{self.port}{path}"

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.requests]

    def send(self, connection: socket.socket, data: bytes) -> bool:
        """Send as the faults allow. False: the connection is to be cut."""
        cut = self.faults.cut_after.pop(0) if self.faults.cut_after else None
        stall = self.faults.stall_after.pop(0) if self.faults.stall_after else None
        end = min(one for one in (len(data), cut, stall) if one is not None)
        for at in range(0, end, CHUNK):
            connection.sendall(data[at : min(at + CHUNK, end)])
            if self.faults.bytes_per_s:
                time.sleep(CHUNK / self.faults.bytes_per_s)
        if stall is not None and stall < len(data):
            self.closing.wait(60)
        return end == len(data)

    def refusal(self) -> int:
        return self.faults.refuse.pop(0) if self.faults.refuse else 0


class _HttpServer(ThreadingHTTPServer):
    owner: FileServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
        """Say nothing."""

    def _begin(self) -> bool:
        owner = self.server.owner
        owner.requests.append((self.command, self.path, self.headers.get("Range", "")))
        self.close_connection = True
        status = owner.refusal()
        if not status and owner.user and self.headers.get("Authorization") != _basic(owner):
            status = 401
        if status:
            self._answer(status)
        elif self.path in owner.faults.redirect:
            self._answer(307, {"Location": owner.faults.redirect[self.path]})
        else:
            return True
        return False

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        if not self._begin():
            return
        owner = self.server.owner
        data = owner.files.get(self.path)
        if data is None:
            self._answer(404)
            return
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        asked, start, headers = self.headers.get("Range", ""), 0, {"ETag": tag}
        status = 200
        if asked and owner.faults.ranges and self.headers.get("If-Range", tag) == tag:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(data):
                self._answer(416)
                return
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        part = data[start:]
        self._answer(status, {**headers, "Content-Length": str(len(part) + owner.faults.lies_about_size)})
        owner.send(self.connection, part)

    def do_PUT(self) -> None:
        if self._begin():
            self._store(self.server.owner.faults.put)

    def do_POST(self) -> None:
        if self._begin():
            self._store(True)

    def _store(self, taken: bool) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if taken:
            self.server.owner.files[self.path] = data
        self._answer(201 if taken else 405)


def _basic(owner: FileServer) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{owner.user}:{owner.password}".encode()).decode()


class _FtpServer(ThreadingTCPServer):
    owner: FileServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _FtpHandler(StreamRequestHandler):
    """RFC 959, 2389, 3659, 4217: as much of them as a client needs that fetches and stores files."""

    server: _FtpServer

    connection: socket.socket
    _listener: socket.socket | None

    def handle(self) -> None:
        self._rest = 0
        self._listener = None
        self._private = False
        self._user = ""
        self._known = False
        self._say("220 ready")
        while line := self.rfile.readline(4096):
            verb, _, rest = line.decode("utf-8").rstrip("\r\n").partition(" ")
            name = f"_do_{verb.lower()}"
            if verb.upper() not in ("USER", "PASS", "AUTH", "PBSZ", "PROT", "QUIT", "REST") and not self._known:
                self._say("530 log in first")
            elif not hasattr(self, name):
                self._say("502 not known")
            elif getattr(self, name)(rest) is False:
                break
        self._close()

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self.connection.close()

    def _say(self, text: str) -> None:
        self.connection.sendall(f"{text}\r\n".encode())

    def _do_user(self, rest: str) -> None:
        self._user = rest
        self._say("331 password")

    def _do_pass(self, rest: str) -> None:
        owner = self.server.owner
        self._known = not owner.user or (self._user, rest) == (owner.user, owner.password)
        self._say("230 in" if self._known else "530 wrong")

    def _do_auth(self, _rest: str) -> None:
        owner = self.server.owner
        if owner.context is None or owner.implicit:
            self._say("534 no")
            return
        self._say("234 go on")
        self.connection = owner.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")

    def _do_pbsz(self, _rest: str) -> None:
        self._say("200 0")

    def _do_prot(self, rest: str) -> None:
        self._private = rest == "P"
        self._say("200 so be it")

    def _do_type(self, _rest: str) -> None:
        self._say("200 binary")

    def _do_size(self, rest: str) -> None:
        owner = self.server.owner
        data = owner.files.get(rest)
        self._say("550 no such file" if data is None else f"213 {len(data) + owner.faults.lies_about_size}")

    def _do_mdtm(self, rest: str) -> None:
        self._say("213 20260101000000" if rest in self.server.owner.files else "550 no such file")

    def _do_rest(self, rest: str) -> None:
        if not self.server.owner.faults.ranges:
            self._say("502 no")
            return
        self._rest = int(rest)
        self._say("350 from there")

    def _do_pasv(self, _rest: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        port = self._listener.getsockname()[1]
        # Another host than ours, as a broken NAT would say: a client must not go there.
        self._say(f"227 here (192,0,2,1,{port >> 8},{port & 255})")

    def _data(self) -> socket.socket:
        assert self._listener is not None
        connection, _ = self._listener.accept()
        self._listener.close()
        self._listener = None
        context = self.server.owner.context
        return context.wrap_socket(connection, server_side=True) if self._private and context else connection

    def _do_retr(self, rest: str) -> bool | None:
        owner = self.server.owner
        owner.requests.append(("RETR", rest, str(self._rest)))
        offset, self._rest = self._rest, 0
        code, data = owner.refusal(), owner.files.get(rest)
        if code or data is None:
            self._say(f"{code or 550} no")
            return None
        self._say("150 it comes")
        with self._data() as connection:
            whole = owner.send(connection, data[offset:])
        self._say("226 done" if whole else "426 broken off")
        return None

    def _do_stor(self, rest: str) -> None:
        owner = self.server.owner
        owner.requests.append(("STOR", rest, ""))
        code = owner.refusal()
        if code:
            self._say(f"{code} no")
            return
        self._say("150 go on")
        data = b""
        with self._data() as connection:
            while chunk := connection.recv(CHUNK):
                data += chunk
        owner.files[rest] = data
        self._say("226 done")

    def _do_quit(self, _rest: str) -> bool:
        self._say("221 bye")
        return False
