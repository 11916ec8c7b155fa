"""docs/device-model.md is what the code says of itself; and slots of networks as components."""

from __future__ import annotations

from pathlib import Path

from agent.device_model.network_configuration import VARIABLES, NetworkSlot, slot_entries
from agent.device_model.variables import ACCEPTED, Change, Mutability
from agent.joints.device_page import example, text

PAGE = Path(__file__).parents[2] / "docs" / "device-model.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "run: python -m agent.joints.device_page > docs/device-model.md"


def test_every_variable_of_the_page_says_what_it_is() -> None:
    assert [str(entry) for entry in example().model if not entry.help] == []


class Slot:
    """A slot that is set up already."""

    number = 1

    def __init__(self) -> None:
        self.values = {"OcppCsmsUrl": "wss://csms/"}

    def read(self, name: str) -> str | None:
        return self.values.get(name)

    def change(self, name: str, text: str) -> Change:
        self.values[name] = text
        return ACCEPTED

    def writable(self, name: str) -> bool:
        return name != "OcppTransport"


def test_a_slot_of_networks_is_a_component_with_its_number_as_instance() -> None:
    slot: NetworkSlot = Slot()
    entries = {entry.variable.name: entry for entry in slot_entries(slot)}
    assert set(entries) == {name for name, _, _ in VARIABLES}
    assert {str(entry.component) for entry in entries.values()} == {"NetworkConfiguration[1]"}
    assert entries["OcppCsmsUrl"].actual.value() == "wss://csms/"
    assert entries["Identity"].actual.value() is None
    assert entries["OcppTransport"].actual.mutability is Mutability.READ_ONLY
    password = entries["BasicAuthPassword"].actual
    assert password.mutability is Mutability.WRITE_ONLY
    assert password.change is not None
    assert password.change("secret") is ACCEPTED
    assert password.value() is None
