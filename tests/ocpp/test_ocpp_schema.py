"""Our schema checks against jsonschema, on every schema of every OCPP version that is shipped."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from agent.ocpp.schema import SchemaError, Schemas, compile_schema

ROOT = Path(str(resources.files("ocpp")))
VERSIONS = ("v16", "v201", "v21")


@cache
def schema(version: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / version / "schemas" / f"{name}.json").read_text("utf-8-sig"))
    return loaded


def names(version: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / version / "schemas").glob("*.json"))


def values(part: dict[str, Any], root: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that mostly fit the schema and sometimes do not."""
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    odd = st.sampled_from([None, True, 7, 1.5, "x", "x" * 600, [], {}, {"zz": 1}])
    kind = part.get("type")
    good: st.SearchStrategy[Any]
    if "enum" in part:
        good = st.sampled_from(part["enum"])
    elif kind == "object":
        fields = part.get("properties", {})
        required = set(part.get("required", ()))
        if depth > 4:
            fields = {name: inner for name, inner in fields.items() if name in required}
        inner = {name: st.deferred(lambda p=inner: values(p, root, depth + 1)) for name, inner in fields.items()}
        must = {name: inner[name] for name in inner if name in required}
        may = {name: inner[name] for name in inner if name not in required}
        good = st.fixed_dictionaries(must, optional=may)
        broken = st.one_of(
            good.map(lambda value: value | {"notAField": 1}),
            good.map(lambda value: dict(list(value.items())[1:])),
        )
        return st.integers(0, 19).flatmap(lambda n: odd if n == 0 else broken if n == 1 else good)
    elif kind == "array":
        good = st.lists(st.deferred(lambda: values(part.get("items", {}), root, depth + 1)), max_size=3)
    elif kind == "string":
        good = st.text(max_size=6)
    elif kind == "integer":
        good = st.integers(-3, 10)
    elif kind == "number":
        good = st.sampled_from([0, 0.1, 1.5, 6, 32.0, -1])
    elif kind == "boolean":
        good = st.booleans()
    else:
        good = odd
    return st.integers(0, 39).flatmap(lambda n: odd if n == 0 else good)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_shipped_schema_compiles(version: str) -> None:
    for name in names(version):
        compile_schema(schema(version, name))
    assert len(names(version)) >= 78


@pytest.mark.parametrize(("version", "examples"), [("v16", 300), ("v201", 120), ("v21", 120)])
def test_agrees_with_jsonschema(version: str, examples: int) -> None:
    picked = st.sampled_from(names(version))

    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        root = schema(version, data.draw(picked))
        payload = data.draw(values(root, root))
        expected = {error.validator for error in Draft4Validator(root).iter_errors(payload)} - {"multipleOf"}
        found = compile_schema(root)(payload, "")
        if expected:
            assert found is not None
            assert found.keyword in expected
        else:
            assert found is None or found.keyword == "multipleOf"

    compare()


def profile(limit: Any) -> dict[str, Any]:
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            },
        },
    }


@pytest.mark.parametrize("limit", [0.1, 0.3, 16.5, 21.4, 32, 32.0, 1e15])
def test_a_tenth_is_a_tenth(limit: float) -> None:
    assert Schemas("v16").request("SetChargingProfile", profile(limit)) is None


@pytest.mark.parametrize(
    ("limit", "keyword"),
    [
        (4.11, "multipleOf"),
        (0.30000000000000004, "multipleOf"),
        (float("inf"), "maximum"),
        (float("nan"), "maximum"),
        (10**400, "maximum"),
        ("16", "type"),
        (True, "type"),
    ],
)
def test_what_is_no_limit(limit: Any, keyword: str) -> None:
    violation = Schemas("v16").request("SetChargingProfile", profile(limit))
    assert violation is not None
    assert violation.keyword == keyword
    assert violation.path.endswith("chargingSchedulePeriod[0].limit")


def test_actions() -> None:
    schemas = Schemas("v16")
    assert schemas.knows("BootNotification")
    assert not schemas.knows("../v16/schemas/BootNotification")
    assert not schemas.knows("BootNotificationResponse")
    assert not schemas.knows("")


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(SchemaError, match="anyOf"):
        compile_schema({"type": "object", "properties": {"a": {"anyOf": []}}})


def test_a_definition_may_hold_itself() -> None:
    tree = {
        "$ref": "#/definitions/tree",
        "definitions": {
            "tree": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"next": {"$ref": "#/definitions/tree"}},
            }
        },
    }
    check = compile_schema(tree)
    assert check({"next": {"next": {}}}, "") is None
    violation = check({"next": {"next": {"x": 1}}}, "")
    assert violation is not None
    assert violation.path == "next.next.x"
