"""Downloads and uploads by HTTP and HTTPS (RFC 9110). Runs in the transfer process."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from agent.files.address import Address, AddressError
from agent.files.connecting import connect, tls
from agent.files.job import Job, TransferError, Trouble
from agent.files.partial import Partial

MAX_REDIRECTS = 5
CHUNK = 64 * 1024

_REDIRECTS = (301, 302, 303, 307, 308)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_BROKEN = (OSError, http.client.HTTPException, ssl.SSLError)

Progress = Callable[[int, int | None], None]


def download(job: Job, address: Address, partial: Partial, progress: Progress) -> int:
    """Fetch the file into ``partial``, from where it broke off if the server can. Return its size."""
    try:
        return _download(job, address, partial, progress)
    except _BROKEN as error:
        raise _broken(address, error) from error
    finally:
        partial.flush()


def _download(job: Job, address: Address, partial: Partial, progress: Progress) -> int:
    headers = {"Accept-Encoding": "identity"}
    if partial.size and partial.validator:
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": partial.validator}
    connection, response, address = _open(job, address, "GET", headers)
    try:
        if response.status == 416:
            # What is kept is not a beginning of that file: the next try begins anew.
            partial.begin(None, "", resume=False)
            raise TransferError(Trouble.BROKEN, f"{address.shown}: the part that is kept does not fit the file")
        if response.status not in (200, 206):
            raise _refused(address, response)
        length = response.length
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise TransferError(Trouble.NOT_SUPPORTED, f"{address.shown}: the server encodes the file though not asked")
        resume = response.status == 206
        total = length
        if resume:
            total = _resumed_total(response, partial.size, address)
        partial.begin(total, _validator(response), resume=resume)
        while chunk := response.read(CHUNK):
            partial.write(chunk)
            progress(partial.size, total)
    finally:
        connection.close()
    if total is not None and partial.size != total:
        raise TransferError(Trouble.BROKEN, f"{address.shown}: cut after {partial.size} of {total} bytes")
    return partial.size


def _resumed_total(response: http.client.HTTPResponse, have: int, address: Address) -> int | None:
    found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise TransferError(Trouble.BROKEN, f"{address.shown}: the server sent another part than was asked for")
    return None if found[3] == "*" else int(found[3])


def _validator(response: http.client.HTTPResponse) -> str:
    """A strong validator (RFC 9110 §13.1.5), or nothing: then a broken download begins anew."""
    tag = response.getheader("ETag", "")
    if tag.startswith('"') and tag.isprintable():
        return tag
    modified = response.getheader("Last-Modified", "")
    return modified if modified.isprintable() else ""


def upload(job: Job, address: Address, path: Path, progress: Progress) -> int:
    """Send the file by PUT; where that is not offered, by POST as a form's file."""
    assert job.bundle is not None
    size = path.stat().st_size
    place = address.within(job.bundle.name)
    try:
        status = _send(job, place, "PUT", path, size, progress)
        if status in (405, 501):
            status = _send(job, address, "POST", path, size, progress)
    except _BROKEN as error:
        raise _broken(address, error) from error
    if not 200 <= status < 300:
        raise TransferError(_trouble(status), f"{address.shown}: the server answered {status}")
    return size


def _send(job: Job, address: Address, method: str, path: Path, size: int, progress: Progress) -> int:
    for _ in range(MAX_REDIRECTS + 1):
        before, after, headers = b"", b"", {"Content-Type": "application/octet-stream"}
        if method == "POST":
            boundary = "----evse-agent-file-boundary"
            name = job.bundle.name if job.bundle is not None else path.name
            before = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            after = f"\r\n--{boundary}--\r\n".encode()
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        headers["Content-Length"] = str(len(before) + size + len(after))
        connection = _connection(job, address)
        try:
            with path.open("rb") as file:
                body = _body(before, file, after, size, progress)
                # A server may refuse before it has read everything; what it says then counts.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, address.target, body, _with(address, headers))
            response = connection.getresponse()
            status, location = response.status, response.getheader("Location")
        finally:
            connection.close()
        if status not in (307, 308) or location is None:
            return status
        address = _redirected(address, location)
    raise TransferError(Trouble.BROKEN, f"{address.shown}: more than {MAX_REDIRECTS} redirects")


def _body(before: bytes, file: IO[bytes], after: bytes, size: int, progress: Progress) -> Iterator[bytes]:
    yield before
    done = 0
    while chunk := file.read(CHUNK):
        yield chunk
        done += len(chunk)
        progress(done, size)
    yield after


def _open(
    job: Job, address: Address, method: str, headers: dict[str, str]
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, Address]:
    for _ in range(MAX_REDIRECTS + 1):
        connection = _connection(job, address)
        try:
            connection.request(method, address.target, headers=_with(address, headers))
            response = connection.getresponse()
            if response.status not in _REDIRECTS:
                return connection, response, address
            address = _redirected(address, response.getheader("Location") or "")
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise TransferError(Trouble.BROKEN, f"{address.shown}: more than {MAX_REDIRECTS} redirects")


def _redirected(address: Address, location: str) -> Address:
    try:
        return address.redirected(location)
    except AddressError as error:
        raise TransferError(Trouble.BAD_ADDRESS, str(error)) from None


def _connection(job: Job, address: Address) -> http.client.HTTPConnection:
    if address.scheme not in job.schemes:
        raise TransferError(Trouble.BAD_ADDRESS, f"{address.shown}: {address.scheme} is not offered")
    connection = http.client.HTTPConnection(address.host, address.port, timeout=job.stall_s)
    plain = connect(address.host, address.port, stall_s=job.stall_s, loopback=job.loopback)
    connection.sock = plain
    if address.scheme == "https":
        try:
            connection.sock = tls(job.ca_file, job.roots).wrap_socket(plain, server_hostname=address.host)
        except BaseException:
            plain.close()
            raise
    return connection


def _with(address: Address, headers: dict[str, str]) -> dict[str, str]:
    found = {"User-Agent": "evse-agent", **headers}
    if address.user or address.password:
        pair = base64.b64encode(f"{address.user}:{address.password}".encode()).decode("ascii")
        found["Authorization"] = f"Basic {pair}"
    return found


def _refused(address: Address, response: http.client.HTTPResponse) -> TransferError:
    return TransferError(_trouble(response.status), f"{address.shown}: the server answered {response.status}")


def _trouble(status: int) -> Trouble:
    if status in (401, 403, 407):
        return Trouble.PERMISSION_DENIED
    if status in (405, 415, 501):
        return Trouble.NOT_SUPPORTED
    return Trouble.BAD_MESSAGE if status in (400, 411, 413, 414, 422) else Trouble.BROKEN


def _broken(address: Address, error: BaseException) -> TransferError:
    if isinstance(error, socket.gaierror):
        return TransferError(Trouble.BROKEN, f"{address.host}: the name is not known ({error.strerror})")
    if isinstance(error, TimeoutError):
        return TransferError(Trouble.BROKEN, f"{address.shown}: stalled")
    return TransferError(Trouble.BROKEN, f"{address.shown}: {type(error).__name__}: {str(error)[:160]}")
