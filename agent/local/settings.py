"""The local API's methods about OCPP keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypedDict, TypeVar

from agent.local.methods import Caller, Method, observe, service
from agent.local.rpc import RpcError
from agent.station.commands import SettingAnswer


class SettingDocument(TypedDict):
    key: str
    """As OCPP 1.6 names it."""
    value: str
    writable: bool


class SettingChange(TypedDict):
    key: str
    before: str
    after: str


class Key(Protocol):
    """A key, as the version package declares it."""

    @property
    def name(self) -> str: ...
    @property
    def setting(self) -> str: ...
    @property
    def writable(self) -> bool: ...
    def problem(self, text: str) -> str: ...


KeyT = TypeVar("KeyT", bound=Key)


def methods(
    keys: Callable[[], Sequence[KeyT]],
    value: Callable[[KeyT], str],
    change: Callable[[str, str], SettingAnswer],
    audit: Callable[[Caller, str, str], None],
) -> dict[str, Method]:
    """``value`` shows a key's value in force; ``change(setting, text)`` sets one, as the network does."""

    def listed() -> list[SettingDocument]:
        """Every OCPP key and its value in force."""
        found = sorted(keys(), key=lambda key: key.name)
        return [{"key": key.name, "value": value(key), "writable": key.writable and bool(key.setting)} for key in found]

    def put(key: str, value_text: str, caller: Caller) -> SettingChange:
        found = next((each for each in keys() if each.name.casefold() == key.casefold()), None)
        if found is None:
            raise RpcError(f"no key {key[:60]!r}; 'settings.list' has them all")
        if not found.setting or not found.writable:
            raise RpcError(f"{found.name} is fixed; the configuration file may set it (ocpp.settings)")
        problem = found.problem(value_text)
        if problem:
            raise RpcError(problem)
        before = value(found)
        answer = change(found.setting, value_text)
        if answer is SettingAnswer.REJECTED:
            raise RpcError(f"{found.name} does not take {value_text[:60]!r}")
        audit(caller, "settings.set", f"{found.name}: {before} -> {value(found)}")
        return {"key": found.name, "before": before, "after": value(found)}

    def set_one(key: str, value: str, caller: Caller) -> SettingChange:
        """Set an OCPP key, as the network's ChangeConfiguration does; it stays over restarts."""
        return put(key, value, caller)

    return {"settings.list": observe(listed), "settings.set": service(set_one)}
