"""What a variable is: where it belongs, what it may hold, who may read and change it (OCPP 2.0.1 part 1 §4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

log = logging.getLogger(__name__)

_FAILED: set[Callable[[], str | None]] = set()
"""Readers that have failed, each told once."""


class DataType(Enum):
    STRING = "string"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BOOLEAN = "boolean"
    OPTION_LIST = "OptionList"
    SEQUENCE_LIST = "SequenceList"
    MEMBER_LIST = "MemberList"

    @property
    def numeric(self) -> bool:
        return self in (DataType.DECIMAL, DataType.INTEGER)


class Mutability(Enum):
    READ_ONLY = "ReadOnly"
    WRITE_ONLY = "WriteOnly"
    READ_WRITE = "ReadWrite"


class AttributeType(Enum):
    ACTUAL = "Actual"
    TARGET = "Target"
    MIN_SET = "MinSet"
    MAX_SET = "MaxSet"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """``evse`` 0: of the whole charge point. ``connector`` 0: of the EVSE as such."""

    name: str
    instance: str = ""
    evse: int = 0
    connector: int = 0

    @property
    def key(self) -> tuple[str, str, int, int]:
        """For comparing: names and instances are case-insensitive (part 2 §3, ComponentType)."""
        return (self.name.casefold(), self.instance.casefold(), self.evse, self.connector)

    def __str__(self) -> str:
        where = f"@{self.evse}" + (f".{self.connector}" if self.connector else "") if self.evse else ""
        return self.name + (f"[{self.instance}]" if self.instance else "") + where


@dataclass(frozen=True, slots=True, order=True)
class Variable:
    name: str
    instance: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.name.casefold(), self.instance.casefold())

    def __str__(self) -> str:
        return self.name + (f"[{self.instance}]" if self.instance else "")


@dataclass(frozen=True, slots=True)
class Characteristics:
    data_type: DataType
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    monitored: bool = True
    """Monitors may be set on it."""


class ChangeStatus(Enum):
    """SetVariableStatusEnumType, as far as a variable itself can tell."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    REBOOT_REQUIRED = "RebootRequired"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a change. ``reason`` is a code of the appendix (reason codes), ``detail`` a sentence."""

    status: ChangeStatus
    reason: str = ""
    detail: str = ""


ACCEPTED = Change(ChangeStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One value of a variable. ``read`` gives its text, None while there is none; without it, it is write-only."""

    read: Callable[[], str | None] | None
    change: Callable[[str], Change] | None = None
    type: AttributeType = AttributeType.ACTUAL
    persistent: bool = False
    constant: bool = False

    @property
    def mutability(self) -> Mutability:
        if self.read is None:
            return Mutability.WRITE_ONLY
        return Mutability.READ_ONLY if self.change is None else Mutability.READ_WRITE

    def value(self) -> str | None:
        """None where there is no value now, and always where it may only be written.

        A reader that fails has no value either: one room's fault must not end reports and monitors of all the others.
        """
        if self.read is None:
            return None
        try:
            return self.read()
        except Exception:
            if self.read not in _FAILED:
                _FAILED.add(self.read)
                log.exception("a variable cannot be read; it has no value until it can")
            return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One variable of one component."""

    component: Component
    variable: Variable
    characteristics: Characteristics
    attributes: tuple[Attribute, ...]
    note: Callable[[], tuple[str, str]] | None = field(default=None, compare=False)
    """Technical code and words on the present value, for events (techCode, techInfo)."""
    help: str = field(default="", compare=False)

    def attribute(self, kind: AttributeType) -> Attribute | None:
        return next((each for each in self.attributes if each.type is kind), None)

    @property
    def actual(self) -> Attribute:
        """Every variable has this one."""
        return self.attributes[0]

    def number(self, kind: AttributeType = AttributeType.ACTUAL) -> float | None:
        """The value as a number; None where there is none now."""
        attribute = self.attribute(kind)
        text = None if attribute is None else attribute.value()
        if not text:
            return None
        try:
            return float(text)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.component}.{self.variable}"
