"""The journal's kept documents in memory, for what needs nothing else of it."""

from __future__ import annotations

import json
from typing import Any


class KeptBooks:
    """What is kept comes back as it would from the disk: by way of JSON."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def keep(self, table: str, key: str, value: Any | None) -> None:
        self.tables.setdefault(table, {}).pop(key, None)
        if value is not None:
            self.tables[table][key] = json.loads(json.dumps(value))

    def kept(self, table: str) -> dict[str, Any]:
        return dict(self.tables.get(table, {}))
