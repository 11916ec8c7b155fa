"""No wire in between: for nodes that nobody can stand in front of."""

from __future__ import annotations

from typing import Any

from hal.conformance.wires import Said, Trick, claimed


class Direct:
    """The driver is on its node by itself; the kit sees only what the driver says."""

    cut = False

    def __init__(self, options: Any) -> None:
        claims = claimed(options)
        self.node = claims[0][0] if claims else ""
        what = f"{self.node} ({claims[0][1]})" if claims else "what it shares with others (no option claims a node)"
        self.label = f"straight on {self.node or 'a wire that it shares'}"
        self.tricks: frozenset[Trick] = frozenset()
        self.why_not = f"nothing can stand between the driver and {what}"
        self.options = options
        self.said: list[Said] = []

    def open(self, connected: bool) -> None:
        """Nothing is to be made; the driver opens its node by itself."""

    def close(self) -> None: ...

    def filenos(self) -> list[int]:
        return []

    def pump(self) -> None: ...

    def inject(self, data: bytes) -> None: ...

    def unplug(self) -> None: ...

    def plug_in(self) -> None: ...
