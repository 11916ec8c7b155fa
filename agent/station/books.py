"""How the charge point's books do, as far as drivers and the network should know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Books:
    """``code`` is empty when all is well."""

    code: str = ""
    """``journal_unwritable``, ``journal_damaged``, ``journal_crowded`` or ``journal_thinned``."""
    text: str = ""
    remedy: str = ""
    closed: bool = False
    """No transaction may begin: its start could not be made durable."""

    @property
    def error(self) -> str:
        """OCPP 1.6's word (§7.6)."""
        if not self.code:
            return "NoError"
        return "OtherError" if self.code in ("journal_crowded", "journal_thinned") else "InternalError"
