"""JSON-RPC 2.0, without I/O: a line in, a line (or nothing) out.

Methods are plain typed functions (``agent.local.methods.Method``). Parameters are checked against the function's own
type hints, so a method's signature is its documentation. Who calls must have the method's role.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
import types
import typing
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from agent.local.methods import Caller, Method, Methods

log = logging.getLogger(__name__)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -32000
"""The request was understood, and refused; the message says why."""
NOT_ALLOWED = -32001
"""The caller has not the role that the method needs."""

MAX_BATCH = 16

_EMPTY = inspect.Parameter.empty


class RpcError(Exception):
    """An error as JSON-RPC carries it. Methods may raise it to refuse; the text names rule and remedy."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


Audit = Callable[[Caller, str, dict[str, Any], str], None]
"""Told of each call that changes something: who, method, parameters (secrets masked), why it failed or ""."""


class LocalApi:
    """Dispatches requests to methods by name."""

    def __init__(self, methods: Methods, audit: Audit | None = None) -> None:
        self._methods = dict(methods)
        self._audit = audit

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._methods))

    async def answer(self, line: bytes, caller: Caller) -> bytes | None:
        """Carry out what one line asks for. Return the line to send back (with its newline), or None for none."""
        try:
            request = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            return _failure(None, PARSE_ERROR, f"not JSON: {str(error)[:200]}") + b"\n"
        if isinstance(request, list):
            return await self._batch(request, caller)
        response = await self._one(request, caller)
        return None if response is None else response + b"\n"

    async def _batch(self, requests: list[Any], caller: Caller) -> bytes | None:
        if not requests or len(requests) > MAX_BATCH:
            return _failure(None, INVALID_REQUEST, f"a batch holds 1 to {MAX_BATCH} requests") + b"\n"
        responses = [response for request in requests if (response := await self._one(request, caller)) is not None]
        return b"[" + b",".join(responses) + b"]\n" if responses else None

    async def _one(self, request: Any, caller: Caller) -> bytes | None:
        identity = request.get("id") if isinstance(request, dict) else None
        if not _is_identity(identity):
            return _failure(None, INVALID_REQUEST, "'id' must be a text, a number or null")
        silent = isinstance(request, dict) and "id" not in request
        try:
            result = await self._carry_out(request, caller)
            return None if silent else encoded({"jsonrpc": "2.0", "id": identity, "result": result})
        except RpcError as error:
            # A malformed request cannot be told from a notification, so it is answered all the same (§5.1).
            return None if silent and error.code != INVALID_REQUEST else _failure(identity, error.code, str(error))
        except Exception:
            log.exception("local API: method %r failed", request.get("method"))
            return None if silent else _failure(identity, INTERNAL_ERROR, "the agent failed; its log says more")

    async def _carry_out(self, request: Any, caller: Caller) -> Any:
        if not isinstance(request, dict):
            raise RpcError("a request must be an object", INVALID_REQUEST)
        if request.get("jsonrpc") != "2.0":
            raise RpcError("'jsonrpc' must be \"2.0\"", INVALID_REQUEST)
        name = request.get("method")
        if not isinstance(name, str):
            raise RpcError("'method' must be a text", INVALID_REQUEST)
        parameters = request.get("params", {})
        if not isinstance(parameters, (dict, list)):
            raise RpcError("'params' must be an object or a list", INVALID_REQUEST)
        method = self._methods.get(name)
        if method is None:
            raise RpcError(f"no method {name[:60]!r}; there are: {', '.join(self.names)}", METHOD_NOT_FOUND)
        if caller.role < method.role:
            raise RpcError(
                f"{name} needs the role '{method.role.word}', this connection has '{caller.role.word}'; log in first",
                NOT_ALLOWED,
            )
        arguments = _arguments(method, parameters)
        shown = {key: "***" if key in method.secret else value for key, value in arguments.items()}
        if method.wants_caller:
            arguments["caller"] = caller
        try:
            result = method.function(**arguments)
            done = await result if isinstance(result, Awaitable) else result
        except Exception as error:
            if method.changes and self._audit is not None:
                self._audit(caller, name, shown, str(error) or type(error).__name__)
            raise
        if method.changes and self._audit is not None:
            self._audit(caller, name, shown, "")
        return done


def encoded(message: Any) -> bytes:
    """Return a message as it goes on the wire, without its newline."""
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def oversized(limit: int) -> bytes:
    """Return the answer to a line that is longer than ``limit`` bytes."""
    return _failure(None, INVALID_REQUEST, f"a request is one line of at most {limit} bytes") + b"\n"


def _failure(identity: Any, code: int, message: str) -> bytes:
    return encoded({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})


def _is_identity(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, bool) and isinstance(value, (str, int, type(None)))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _arguments(method: Method, given: dict[str, Any] | list[Any]) -> dict[str, Any]:
    names = list(method.parameters)
    if isinstance(given, list):
        if len(given) > len(names):
            raise RpcError(f"takes at most {len(names)} parameters, {len(given)} were given", INVALID_PARAMS)
        given = dict(zip(names, given, strict=False))
    for name in given:
        if name not in method.parameters:
            raise RpcError(f"no parameter {name[:60]!r}; there are: {', '.join(names) or 'none'}", INVALID_PARAMS)
    for name, parameter in method.parameters.items():
        if name not in given:
            if parameter.default is _EMPTY:
                raise RpcError(f"parameter {name!r} is missing", INVALID_PARAMS)
        elif not _fits(given[name], method.hints.get(name, Any)):
            raise RpcError(f"parameter {name!r} must be {spelled(method.hints[name])}", INVALID_PARAMS)
    return given


_SPELLED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _fits(value: Any, hint: Any) -> bool:
    for member in _members(hint):
        if member is Any:
            return True
        if isinstance(value, bool) and member is not bool:
            continue
        plain = typing.get_origin(member) or member
        if isinstance(value, (int, float) if plain is float else plain):
            return True
    return False


def spelled(hint: Any) -> str:
    """Name a parameter's type as a person reads it."""
    return " or ".join(_SPELLED.get(typing.get_origin(member) or member, str(member)) for member in _members(hint))
