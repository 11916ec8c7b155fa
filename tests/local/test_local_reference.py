"""docs/local-api.md is what the code says of itself."""

from __future__ import annotations

from pathlib import Path

from agent.joints.local_api import catalogue
from agent.local.methods import Method
from agent.local.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "local-api.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(*catalogue()), (
        "run: python -m agent.joints.local_api > docs/local-api.md"
    )


def test_every_method_says_what_it_does_and_gives() -> None:
    methods, _ = catalogue()
    for name, method in methods.items():
        assert isinstance(method, Method)
        assert (method.function.__doc__ or "").strip(), f"{name} has no docstring"
        assert "return" in method.hints, f"{name} does not say what it gives"
        for parameter in method.parameters:
            assert parameter in method.hints, f"{name}: {parameter} has no type"
