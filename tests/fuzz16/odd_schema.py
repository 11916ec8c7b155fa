"""Payloads made from the JSON schemas of one version of OCPP: valid but odd ones, and ones with one known fault.

``requests()`` draws (action, payload, codes): ``codes`` is what the version wants as answer to a payload with a fault,
and empty for a payload without one.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

TIMES = (
    "2026-09-21T14:13:20Z",
    "2026-09-22T00:00:00.000+02:00",
    "2026-09-21T14:13:20.123456789Z",
    "2027-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T12:00:00Z",
    "2026-09-21T24:00:00Z",
    "2026-09-21",
    "2026-09-21T14:13:20",
    "tomorrow",
    "",
)

ADDRESSES = (
    "http://127.0.0.1:9/file",
    "https://127.0.0.1:9/file?x=%00",
    "ftp://user:secret@127.0.0.1:9/a/b",
    "ftps://127.0.0.1:9",
    "http://[::1]:9/",
    "http://[::1/",
    "http://127.0.0.1:99999/",
    "http://",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//127.0.0.1/x",
    "\x00",
    "",
)
"""None of them leaves this machine."""

_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=" \t\r\n\x00\x7f\u202e\u00df\u0130\ud800", max_size=12),
    st.sampled_from(("", " ", "0", "null", "'; DROP TABLE event; --", "%s%n{0}", "../../x", "x" * 40)),
)

_INTEGERS = st.one_of(
    st.integers(-3, 100), st.sampled_from((2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63) + 1)), st.integers(0, 10**6)
)

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


_WRONG: dict[str, tuple[Any, ...]] = {
    "object": ([], "{}", 0, None, True),
    "array": ({}, "[]", 0, None, False),
    "string": (0, None, [], {}, True, 1.5),
    "integer": ("1", None, 1.5, True, [], {}),
    "number": ("1.0", None, False, [], {}),
    "boolean": ("true", 0, 1, None, []),
}

OTHER = "PropertyConstraintViolation"
"""The code for a broken keyword that has none of its own."""

Asked = tuple[str, Any, frozenset[str]]
Schema = dict[str, Any]


def untouched(_draw: st.DrawFn, _action: str, payload: Any) -> Any:
    """No payload is made likelier than its schema makes it."""
    return payload


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in a payload: the way to it, and its schema."""

    way: tuple[str | int, ...]
    part: Schema


class OddPayloads:
    """Of one version. ``package`` is the folder of its schemas in ``ocpp``, ``suffix`` ends the name of a request's."""

    def __init__(
        self,
        package: str,
        suffix: str,
        actions: Sequence[str],
        named: Mapping[str, st.SearchStrategy[Any]],
        codes: Mapping[str, str],
        additional: tuple[str, ...] = ("x", "", "__proto__"),
        *,
        last: float = 0.0,
        most_optional: int | None = None,
        likely: Callable[[st.DrawFn, str, Any], Any] = untouched,
    ) -> None:
        """``named``: what is worth trying at fields of these names, besides anything at all. ``codes``: CALLERROR code
        by broken keyword. ``additional``: names of fields that no schema has. ``last``: a number that no ``multipleOf``
        allows. ``most_optional``: of the optional fields of one object at most so many. ``likely``: gets each valid
        payload before faults are put in, and may bring in what a schema does not know."""
        self._package = package
        self._suffix = suffix
        self._actions = actions
        self._named = named
        self._codes = codes
        self._additional = additional
        self._last = last
        self._most_optional = most_optional
        self._likely = likely
        self._schemas: dict[str, Schema] = {}
        self._valid: dict[str, st.SearchStrategy[Any]] = {}

    def schema(self, name: str) -> Schema:
        """The schema of a request by its action, of an answer by ``<Action>Response``."""
        if name not in self._schemas:
            spec = find_spec("ocpp")
            assert spec is not None
            assert spec.submodule_search_locations
            file = name if name.endswith("Response") else name + self._suffix
            path = Path(spec.submodule_search_locations[0]) / self._package / "schemas" / f"{file}.json"
            self._schemas[name] = json.loads(path.read_text(encoding="utf-8-sig"))
        return self._schemas[name]

    def valid(self, action: str) -> st.SearchStrategy[Any]:
        """Payloads that the schema of a request allows."""
        if action not in self._valid:
            root = self.schema(action)
            self._valid[action] = self._of(root, root, "")
        return self._valid[action]

    def requests(self) -> st.SearchStrategy[Asked]:
        """(action, payload, codes)."""
        return _requests(self)

    def anything(self) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        """An action, and an object that has nothing, or only names, in common with its schema."""
        return st.sampled_from(self._actions).flatmap(
            lambda action: st.tuples(st.just(action), st.dictionaries(self._keys(action), _ANY, max_size=5))
        )

    def draw(self, draw: st.DrawFn) -> Asked:
        """One request of ``requests``."""
        action = draw(st.sampled_from(self._actions))
        payload = self._likely(draw, action, draw(self.valid(action)))
        if draw(st.integers(0, 9)) < 5:
            return action, payload, frozenset()
        root = self.schema(action)
        faults = []
        for place in _places(payload, root, root):
            value = payload
            for step in place.way:
                value = value[step]
            faults += [(place.way, wrong, code) for wrong, code in self._faults(place, value)]
        if not faults:
            return action, payload, frozenset()
        way, wrong, code = draw(st.sampled_from(faults))
        return action, _replaced(payload, way, wrong), frozenset({code})

    def _keys(self, action: str) -> st.SearchStrategy[str]:
        properties = sorted(self.schema(action).get("properties", {}))
        if not properties:
            return st.text(max_size=8)
        names = st.sampled_from(properties)
        return st.one_of(names, names, names, st.text(max_size=8))

    def _of(self, part: Schema, root: Schema, name: str) -> st.SearchStrategy[Any]:
        part = _resolve(part, root)
        if "enum" in part:
            return st.sampled_from(part["enum"])
        kind = part.get("type")
        if kind is None:
            return _ANY
        if kind == "object":
            fields = {key: self._of(inner, root, key) for key, inner in part.get("properties", {}).items()}
            required = {key: fields[key] for key in part.get("required", ())}
            optional = {key: each for key, each in fields.items() if key not in required}
            if self._most_optional is None or len(optional) <= self._most_optional:
                return st.fixed_dictionaries(required, optional=optional)
            return _some_optional(required, optional, self._most_optional)
        if kind == "array":
            # A key is one of a list of keys, and so on: the name goes down.
            low, high = part.get("minItems", 0), min(part.get("maxItems", 4), 4)
            return st.lists(self._of(part["items"], root, name), min_size=low, max_size=max(low, high))
        if kind == "string":
            plain = st.sampled_from(TIMES) if part.get("format") == "date-time" else _TEXTS
            longest = part.get("maxLength", 10_000)
            named = self._named.get(name)
            mixed = plain if named is None else st.one_of(named, named, named, plain)
            return st.one_of(mixed, mixed, st.just("x" * min(longest, 600))).map(lambda text: text[:longest])
        if kind == "boolean":
            return st.booleans()
        low_number, high_number = part.get("minimum", -math.inf), part.get("maximum", math.inf)
        if kind == "number":
            # In tenths: every schema's multipleOf.
            tenths = st.one_of(st.integers(-100, 1000), st.integers(0, 640)).map(lambda number: number / 10)
            return tenths.map(lambda number: min(max(number, low_number), high_number))
        assert kind == "integer", part
        # Minus 2^63 is one less than the agent takes; that is a fault of its own below.
        numbers = self._named.get(name, _INTEGERS)
        bottom, top = int(max(-(2**63) + 1, low_number)), int(min(2**63 - 1, high_number))
        return st.one_of(numbers, numbers, _INTEGERS).map(lambda number: min(max(number, bottom), top))

    def _faults(self, place: Place, value: Any) -> Iterator[tuple[Any, str]]:
        """Yield (the value instead, the code that it must get)."""
        part = place.part
        kind = part.get("type", "string" if "enum" in part else None)
        if kind is None:
            return
        if place.way:
            # A payload that is no object is a fault of the frame; the frames have tests of their own.
            for wrong in _WRONG[kind]:
                yield wrong, self._code("type")
        if kind == "object":
            for name in part.get("required", ()):
                yield {key: inner for key, inner in value.items() if key != name}, self._code("required")
            if part.get("additionalProperties", True) is False:
                for name in self._additional:
                    yield value | {name: 1}, self._code("additionalProperties")
        if kind == "array" and part.get("minItems", 0):
            yield [], self._code("minItems")
        if kind == "array" and "maxItems" in part and value:
            yield [value[0]] * (part["maxItems"] + 1), self._code("maxItems")
        if "enum" in part:
            for word in ("", part["enum"][0] + " ", part["enum"][0].lower() + "x", "\ud800"):
                yield word, self._code("enum")
        if "maxLength" in part and "enum" not in part:
            yield "x" * (part["maxLength"] + 1), self._code("maxLength")
        if kind == "integer":
            for number in (2**63, -(2**63), 10**400):
                yield number, self._code("maximum")
        if "minimum" in part:
            yield int(part["minimum"]) - 1, self._code("minimum")
        if part.get("multipleOf"):
            yield self._last, self._code("multipleOf")

    def _code(self, keyword: str) -> str:
        return self._codes.get(keyword, OTHER)


@st.composite
def _requests(draw: st.DrawFn, odd: OddPayloads) -> Asked:
    return odd.draw(draw)


@st.composite
def _some_optional(
    draw: st.DrawFn, required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]], most: int
) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=most))
    return {key: draw(each) for key, each in required.items()} | {key: draw(optional[key]) for key in chosen}


def _resolve(part: Schema, root: Schema) -> Schema:
    while "$ref" in part:
        part = root["definitions"][part["$ref"].removeprefix("#/definitions/")]
    return part


def _places(value: Any, part: Schema, root: Schema, way: tuple[str | int, ...] = ()) -> Iterator[Place]:
    part = _resolve(part, root)
    yield Place(way, part)
    if isinstance(value, dict) and "properties" in part:
        for key, inner in value.items():
            if key in part["properties"]:
                yield from _places(inner, part["properties"][key], root, (*way, key))
    elif isinstance(value, list) and "items" in part:
        for index, inner in enumerate(value):
            yield from _places(inner, part["items"], root, (*way, index))


def _replaced(payload: Any, way: tuple[str | int, ...], value: Any) -> Any:
    if not way:
        return value
    changed = copy.deepcopy(payload)
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return changed
