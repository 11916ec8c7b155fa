"""The versions of OCPP that this CSMS speaks, and where they differ below the messages.

Sources: OCPP-J 1.6 section 4; OCPP 2.0.1 part 4 section 4; OCPP 2.1 part 4 section 4 (message types 5 and 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from websockets.typing import Subprotocol


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version. ``message_types`` are the numbers a frame may begin with."""

    subprotocol: Subprotocol
    version: str
    """As the schemas of ``ocpp`` are filed."""
    message_types: frozenset[int]
    unreadable: str
    """CALLERROR code for a frame that is none."""
    codes: Mapping[str, str]
    """CALLERROR code by the keyword of the schema that was broken; any other: PropertyConstraintViolation."""

    @property
    def is_2(self) -> bool:
        """True from 2.0.1 on."""
        return self.version != "1.6"

    @property
    def has_send(self) -> bool:
        """True where SEND and CALLRESULTERROR exist."""
        return 6 in self.message_types

    def code(self, keyword: str) -> str:
        """Return the CALLERROR code for a broken keyword."""
        return self.codes.get(keyword, "PropertyConstraintViolation")

    def knows(self, action: str) -> bool:
        """Tell whether this version has such an action, in any direction."""
        return action in _actions(self.version)


@cache
def _actions(version: str) -> frozenset[str]:
    spec = find_spec("ocpp")
    assert spec is not None  # the simulators require it
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / f"v{version.replace('.', '')}" / "schemas"
    names = {path.stem for path in folder.iterdir() if path.suffix == ".json"}
    return frozenset(name.removesuffix("Request") for name in names if not name.endswith("Response"))


_TYPES = {"type": "TypeConstraintViolation", "required": "ProtocolError"}
_CODES_16 = MappingProxyType({**_TYPES, "additionalProperties": "FormationViolation"})
_CODES_2 = MappingProxyType(
    {
        **_TYPES,
        "additionalProperties": "FormatViolation",
        "minItems": "OccurrenceConstraintViolation",
        "maxItems": "OccurrenceConstraintViolation",
    }
)

OCPP_16 = Dialect(Subprotocol("ocpp1.6"), "1.6", frozenset({2, 3, 4}), "FormationViolation", _CODES_16)
OCPP_201 = Dialect(Subprotocol("ocpp2.0.1"), "2.0.1", frozenset({2, 3, 4}), "RpcFrameworkError", _CODES_2)
OCPP_21 = Dialect(Subprotocol("ocpp2.1"), "2.1", frozenset({2, 3, 4, 5, 6}), "RpcFrameworkError", _CODES_2)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({str(d.subprotocol): d for d in (OCPP_16, OCPP_201, OCPP_21)})

DEFAULT_VERSIONS = (str(OCPP_16.subprotocol),)


def read_versions(text: str) -> tuple[str, ...]:
    """Read a list such as ``ocpp2.0.1,ocpp1.6``, most wanted first. Raises ``ValueError`` naming what is wrong."""
    versions = tuple(part.strip() for part in text.split(","))
    wrong = [part for part in versions if part not in DIALECTS]
    if wrong or len(set(versions)) != len(versions):
        what = f"{wrong[0]!r} is not known" if wrong else "one is named twice"
        raise ValueError(f"versions {text!r}: {what}; take some of {', '.join(DIALECTS)}, most wanted first")
    return versions
