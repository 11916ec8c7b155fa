"""The loader reads with drivers made for these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from fake_config_drivers import DRIVERS, load

from agent.config import check
from hal import registry


@pytest.fixture(autouse=True)
def _own_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", load)
    monkeypatch.setattr(registry, "names", lambda: sorted(DRIVERS))


@pytest.fixture
def findings(tmp_path: Path) -> Callable[[str], list[str]]:
    """Writes a text as config.yaml and gives the findings as printed, with the folder cut away."""

    def of(text: str) -> list[str]:
        path = tmp_path / "config.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return [str(finding).replace(f"{tmp_path}/", "") for finding in check(path)]

    return of
