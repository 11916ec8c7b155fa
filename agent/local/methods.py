"""A method of the local API as it declares itself: what it needs, who may call it, whether it changes anything."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.local.roles import Peer, Role


@dataclass(slots=True)
class Caller:
    """One connection, as methods see it (parameter ``caller``)."""

    peer: Peer
    role: Role
    """What it may do now; a log-in raises it."""
    name: str = ""
    """Who works there, as told at log-in; else the user's number."""
    port: str = ""
    """Terminal it works from, as told at log-in."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What methods keep for this connection; forgotten with it."""

    @property
    def who(self) -> str:
        """For the audit log."""
        return (self.name or f"uid {self.peer.uid}") + (f" at {self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class Method:
    """``function``'s parameters and their types are those of the method; its docstring is its documentation.

    A parameter named ``caller`` is not the caller's to give: it receives the ``Caller``. ``changes``: it alters
    something, so that each call goes to the audit log with its parameters.
    """

    function: Callable[..., Any]
    role: Role = Role.OBSERVE
    changes: bool = False
    secret: frozenset[str] = frozenset()
    """Parameters that no log may show."""
    parameters: Mapping[str, inspect.Parameter] = field(init=False)
    hints: Mapping[str, Any] = field(init=False)
    wants_caller: bool = field(init=False)

    def __post_init__(self) -> None:
        parameters = dict(inspect.signature(self.function).parameters)
        object.__setattr__(self, "wants_caller", parameters.pop("caller", None) is not None)
        object.__setattr__(self, "parameters", parameters)
        object.__setattr__(self, "hints", typing.get_type_hints(self.function))


Methods = Mapping[str, Method]


def observe(function: Callable[..., Any]) -> Method:
    """A method that only tells something."""
    return Method(function)


def operate(function: Callable[..., Any], *, secret: tuple[str, ...] = ()) -> Method:
    """A method that changes something that a site's staff may change."""
    return Method(function, Role.OPERATE, changes=True, secret=frozenset(secret))


def service(function: Callable[..., Any], *, secret: tuple[str, ...] = ()) -> Method:
    """A method that changes something that only a technician may change."""
    return Method(function, Role.SERVICE, changes=True, secret=frozenset(secret))
