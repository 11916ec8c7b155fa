"""Checks payloads by the JSON schemas that the ``ocpp`` package ships, without importing that package's code.

Why not ``ocpp.messages`` and ``jsonschema``: measured on x86-64 with Python 3.11, on top of asyncio and websockets and
with the schemas of seven messages loaded, they add 4.0 MB of private memory and 85 ms to the start, and checking one
MeterValues of nine samples takes 0.4 ms. The schemas of OCPP use a score of JSON Schema's keywords, and only in simple
ways. This module compiles them into closures: 1.0 MB, 6 ms and 0.03 ms. A keyword that it does not know is an error
when the schema is loaded, and the tests compare it with ``jsonschema`` on the schemas of every version.

Further than draft 4 it refuses what would break us later: integers beyond 64 bits and numbers that are not finite.
``multipleOf`` is reckoned in decimals, because 21.4 is a multiple of 0.1 although its binary fraction is not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MAX_INTEGER = 2**63 - 1
"""Larger integers fit no store of ours."""

_PLAIN = frozenset(
    {"$schema", "$id", "id", "title", "description", "comment", "javaType", "default", "definitions", "format"}
)
"""Keywords that demand nothing. ``format`` is a remark in draft 4; readers of times check them themselves."""

_KNOWN = _PLAIN | {
    "$ref",
    "type",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "additionalItems",
    "minItems",
    "maxItems",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a payload: the keyword of the schema, where, and a sentence (which never holds the value)."""

    keyword: str
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path or 'payload'}: {self.detail}"


class SchemaError(Exception):
    """A schema that cannot be read or uses a keyword we do not know. A packaging fault, not the peer's."""


Check = Callable[[Any, str], Violation | None]


class Schemas:
    """The schemas of one OCPP version: read on first use, kept compiled.

    ``package`` is the folder inside ``ocpp``: v16, v201 or v21. Requests are ``<Action>.json`` in v16 and
    ``<Action>Request.json`` in the later ones; responses are ``<Action>Response.json`` in all of them.
    """

    def __init__(self, package: str) -> None:
        spec = find_spec("ocpp")
        if spec is None or not spec.submodule_search_locations:
            raise SchemaError("the ocpp package is not installed; it holds the schemas")
        self._folder = Path(spec.submodule_search_locations[0]) / package / "schemas"
        self._request_suffix = "" if package == "v16" else "Request"
        self._checks: dict[str, Check] = {}
        self._names: frozenset[str] | None = None

    def knows(self, action: str) -> bool:
        """Tell whether this version of OCPP has such an action (in any direction)."""
        if self._names is None:
            self._names = frozenset(entry.name for entry in self._folder.iterdir())
        return f"{action}Response.json" in self._names

    def request(self, action: str, payload: Any) -> Violation | None:
        """Check a request of a known action."""
        return self._check(action + self._request_suffix)(payload, "")

    def message(self, action: str, payload: Any) -> Violation | None:
        """Check a message that has no answer (2.1: SEND). Its file is named like the action."""
        return self._check(action)(payload, "")

    def response(self, action: str, payload: Any) -> Violation | None:
        """Check the answer to a request of a known action."""
        return self._check(action + "Response")(payload, "")

    def _check(self, name: str) -> Check:
        check = self._checks.get(name)
        if check is None:
            try:
                # OCPP 2.0's files begin with a byte order mark.
                text = (self._folder / f"{name}.json").read_text(encoding="utf-8-sig")
                check = compile_schema(json.loads(text))
            except (OSError, ValueError) as error:
                raise SchemaError(f"schema {name}: {error}; reinstall the ocpp package") from error
            self._checks[name] = check
        return check


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Turn a schema into a function of (value, path). Raises SchemaError on a keyword that it does not know."""
    return _Compiler(schema).compile(schema)


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = root.get("definitions", {})
        self._compiled: dict[str, Check] = {}

    def compile(self, schema: Mapping[str, Any]) -> Check:
        unknown = schema.keys() - _KNOWN
        if unknown:
            raise SchemaError(f"keyword {sorted(unknown)[0]!r} is not known to agent.ocpp.schema")
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        checks: list[Check] = []
        if "type" in schema:
            checks.append(_type(schema["type"]))
        if "enum" in schema:
            checks.append(_enum(schema["enum"]))
        if "maxLength" in schema:
            checks.append(_max_length(schema["maxLength"]))
        if schema.keys() & {"minimum", "maximum", "multipleOf"}:
            checks.append(_number(schema))
        if schema.keys() & {"properties", "required"} or schema.get("type") == "object":
            checks.append(self._object(schema))
        if schema.keys() & {"items", "minItems", "maxItems"}:
            checks.append(self._array(schema))
        return checks[0] if len(checks) == 1 else _all_of(tuple(checks))

    def _reference(self, reference: str) -> Check:
        name = reference.removeprefix("#/definitions/")
        if name not in self._definitions:
            raise SchemaError(f"reference {reference!r} leads nowhere")
        if name not in self._compiled:
            # Definitions may refer to themselves: bind by name first, resolve when it runs.
            compiled = self._compiled
            compiled[name] = lambda value, path: compiled[name](value, path)
            compiled[name] = self.compile(self._definitions[name])
        return self._compiled[name]

    def _object(self, schema: Mapping[str, Any]) -> Check:
        properties = {name: self.compile(inner) for name, inner in schema.get("properties", {}).items()}
        required: tuple[str, ...] = tuple(schema.get("required", ()))
        closed = schema.get("additionalProperties", True) is False

        def check(value: Any, path: str) -> Violation | None:
            if not isinstance(value, dict):
                return None
            for name in required:
                if name not in value:
                    return Violation("required", _join(path, name), "is missing")
            for name, inner in value.items():
                known = properties.get(name)
                if known is not None:
                    found = known(inner, _join(path, name))
                    if found is not None:
                        return found
                elif closed:
                    return Violation("additionalProperties", _join(path, name[:50]), "is not a field of this message")
            return None

        return check

    def _array(self, schema: Mapping[str, Any]) -> Check:
        item: Check = self.compile(schema["items"]) if "items" in schema else _all_of(())
        least: int = schema.get("minItems", 0)
        most: float = schema.get("maxItems", math.inf)

        def check(value: Any, path: str) -> Violation | None:
            if not isinstance(value, list):
                return None
            if len(value) < least:
                return Violation("minItems", path, f"has {len(value)} items, at least {least} are needed")
            if len(value) > most:
                return Violation("maxItems", path, f"has {len(value)} items, at most {most} are allowed")
            for index, inner in enumerate(value):
                found = item(inner, f"{path}[{index}]")
                if found is not None:
                    return found
            return None

        return check


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _all_of(checks: tuple[Check, ...]) -> Check:
    def check(value: Any, path: str) -> Violation | None:
        for each in checks:
            found = each(value, path)
            if found is not None:
                return found
        return None

    return check


_TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def _type(name: str) -> Check:
    if name not in _TYPES:
        raise SchemaError(f"type {name!r} is not known to agent.ocpp.schema")
    wanted = _TYPES[name]
    numeric = name in ("integer", "number")

    def check(value: Any, path: str) -> Violation | None:
        if not isinstance(value, wanted) or (numeric and isinstance(value, bool)):
            return Violation("type", path, f"must be of type {name}")
        if numeric and not -MAX_INTEGER <= value <= MAX_INTEGER:
            # NaN compares false, so it ends here too.
            return Violation("maximum", path, "is outside the range of 64-bit integers")
        return None

    return check


def _enum(words: list[Any]) -> Check:
    allowed = frozenset(words)

    def check(value: Any, path: str) -> Violation | None:
        if isinstance(value, (dict, list)) or value not in allowed:
            return Violation("enum", path, "is not one of the allowed words")
        return None

    return check


def _max_length(most: int) -> Check:
    def check(value: Any, path: str) -> Violation | None:
        if isinstance(value, str) and len(value) > most:
            return Violation("maxLength", path, f"is longer than {most} characters")
        return None

    return check


def _number(schema: Mapping[str, Any]) -> Check:
    least: float = schema.get("minimum", -math.inf)
    most: float = schema.get("maximum", math.inf)
    is_multiple = _multiple_of(schema["multipleOf"]) if "multipleOf" in schema else None

    def check(value: Any, path: str) -> Violation | None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return None
        if value < least:
            return Violation("minimum", path, f"is below {least}")
        if value > most:
            return Violation("maximum", path, f"is above {most}")
        if is_multiple is not None and not is_multiple(value):
            return Violation("multipleOf", path, f"is not a multiple of {schema['multipleOf']}")
        return None

    return check


def _multiple_of(step: float) -> Callable[[float], bool]:
    # Few messages need it, and it is a big import.
    from decimal import Decimal, InvalidOperation

    exact = Decimal(str(step))

    def check(value: float) -> bool:
        try:
            return Decimal(str(value)) % exact == 0
        except InvalidOperation:
            # More digits than a Decimal context keeps: no sensible multiple of a tenth.
            return False

    return check
