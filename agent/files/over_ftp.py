"""Downloads and uploads by FTP (RFC 959) and FTPS (RFC 4217), passive only. Runs in the transfer process."""

from __future__ import annotations

import contextlib
import ftplib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from agent.files.address import FTPS_IMPLICIT_PORT, Address
from agent.files.connecting import CONNECT_S, check_peer, tls
from agent.files.job import Job, TransferError, Trouble
from agent.files.partial import Partial

CHUNK = 64 * 1024

Progress = Callable[[int, int | None], None]


class _Ftps(ftplib.FTP_TLS):
    """TLS on both connections; the second one resumes the session of the first, which many servers insist on."""

    implicit = False

    def connect(self, host: str = "", port: int = 0, timeout: float = -999, _source: object = None) -> str:
        if not self.implicit:
            return super().connect(host, port, timeout)
        self.host, self.port = host, port
        plain = socket.create_connection((host, port), timeout)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:  # type: ignore[attr-defined]
            assert isinstance(self.sock, ssl.SSLSocket)
            connection = self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session)
        return connection, size


def download(job: Job, address: Address, partial: Partial, progress: Progress) -> int:
    """Fetch the file into ``partial``, from where it broke off if the server can (REST). Return its size."""
    try:
        with _session(job, address) as ftp:
            return _fetch(ftp, unquote(address.path), partial, progress, address)
    except (OSError, EOFError, ftplib.Error) as error:
        raise _failed(address, error) from error
    finally:
        partial.flush()


def _fetch(ftp: ftplib.FTP, name: str, partial: Partial, progress: Progress, address: Address) -> int:
    ftp.voidcmd("TYPE I")
    size: int | None = None
    with contextlib.suppress(ftplib.error_perm):
        size = ftp.size(name)
    modified = ""
    with contextlib.suppress(ftplib.error_perm):
        modified = ftp.voidcmd(f"MDTM {name}")
    validator = f"{size} {modified}" if size is not None else ""
    resume = bool(validator) and 0 < partial.size <= (size or 0) and partial.validator == validator
    if resume:
        try:
            ftp.sendcmd(f"REST {partial.size}")
        except ftplib.error_perm:
            resume = False
    partial.begin(size, validator, resume=resume)
    connection = ftp.transfercmd(f"RETR {name}", partial.size or None)
    with connection:
        while chunk := connection.recv(CHUNK):
            partial.write(chunk)
            progress(partial.size, size)
    ftp.voidresp()
    if size is not None and partial.size != size:
        raise TransferError(Trouble.BROKEN, f"{address.shown}: cut after {partial.size} of {size} bytes")
    return partial.size


def upload(job: Job, address: Address, path: Path, progress: Progress) -> int:
    """Store the file in the folder that the address names."""
    assert job.bundle is not None
    size, done = path.stat().st_size, 0

    def told(chunk: bytes) -> None:
        nonlocal done
        done += len(chunk)
        progress(done, size)

    name = unquote(address.within(job.bundle.name).path)
    try:
        with _session(job, address) as ftp, path.open("rb") as file:
            ftp.storbinary(f"STOR {name}", file, CHUNK, told)
            stored: int | None = None
            with contextlib.suppress(ftplib.Error):
                stored = ftp.size(name)
    except (OSError, EOFError, ftplib.Error) as error:
        raise _failed(address, error) from error
    if stored is not None and stored != size:
        raise TransferError(Trouble.BROKEN, f"{address.shown}: the server has {stored} of {size} bytes")
    return size


@contextlib.contextmanager
def _session(job: Job, address: Address) -> Iterator[ftplib.FTP]:
    ftp = _Ftps(context=tls(job.ca_file, job.roots), timeout=job.stall_s) if address.scheme == "ftps" else ftplib.FTP()
    if isinstance(ftp, _Ftps):
        ftp.implicit = address.port == FTPS_IMPLICIT_PORT
    try:
        ftp.connect(address.host, address.port, min(CONNECT_S, job.stall_s))
        assert ftp.sock is not None
        check_peer(ftp.sock, job.loopback)
        ftp.timeout = job.stall_s
        ftp.sock.settimeout(job.stall_s)
        ftp.login(address.user or "anonymous", address.password or ("" if address.user else "evse-agent@"))
        if isinstance(ftp, _Ftps):
            ftp.prot_p()
        yield ftp
        with contextlib.suppress(OSError, EOFError, ftplib.Error):
            ftp.quit()
    finally:
        ftp.close()


def _failed(address: Address, error: BaseException) -> TransferError:
    """RFC 959 §4.2: 530 and 532 are about who we are, 550 and 553 about the file, 502 and 504 about the command."""
    text = str(error)[:160]
    if isinstance(error, ftplib.error_perm):
        code = text[:3]
        trouble = Trouble.PERMISSION_DENIED if code in ("530", "532", "550", "553") else Trouble.BAD_MESSAGE
        trouble = Trouble.NOT_SUPPORTED if code in ("502", "504", "534", "536") else trouble
        return TransferError(trouble, f"{address.shown}: the server answered {_printable(text)}")
    if isinstance(error, socket.gaierror):
        return TransferError(Trouble.BROKEN, f"{address.host}: the name is not known ({error.strerror})")
    if isinstance(error, TimeoutError):
        return TransferError(Trouble.BROKEN, f"{address.shown}: stalled")
    return TransferError(Trouble.BROKEN, f"{address.shown}: {type(error).__name__}: {_printable(text)}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
