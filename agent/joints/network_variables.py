"""Variables of the device model that belong to the ways to a network: their order, and each slot as a component.

Loaded only where OCPP 2.x is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.device_model.device import live
from agent.device_model.network_configuration import slot_entries
from agent.device_model.variables import ACCEPTED, Change, ChangeStatus, DataType, Entry
from agent.ocpp.network_connection import changed, version_word
from agent.ocpp.network_profile import NetworkProfile, ProposalError
from agent.ocpp.networks import Networks
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError

Record = Callable[[SecurityEvent, str], object]

FIXED = {"OcppTransport": "JSON", "VpnEnabled": "false", "ApnEnabled": "false"}
"""There is one transport, and modem and tunnels are the machine's (2.1 B09.FR.13)."""


def of_networks(
    networks: Networks, has_root: Callable[[], bool], has_certificate: Callable[[], bool], record: Record
) -> Iterator[Entry]:
    """``has_root``, ``has_certificate``: of the network, and of ours; ``record`` notes a security event."""
    if not networks.known:
        return
    numbers = tuple(str(number) for number in networks.slots.numbers)

    def change_priority(text: str) -> Change:
        """B10.FR.01, FR.02; A05.FR.02 to FR.04."""
        words = [word.strip() for word in text.split(",")]
        if not all(word in numbers for word in words):
            return _rejected(f"{text[:40]!a}: give numbers of slots out of {', '.join(numbers)}")
        try:
            waits = networks.propose_priority([int(word) for word in words], has_root(), has_certificate())
        except (ProposalError, SecretFileError) as error:
            return _rejected(str(error))
        record(SecurityEvent.RECONFIGURATION, f"order of network profiles: {','.join(words)}")
        return Change(ChangeStatus.REBOOT_REQUIRED) if waits else ACCEPTED

    yield live(
        "OCPPCommCtrlr.NetworkConfigurationPriority",
        DataType.SEQUENCE_LIST,
        lambda: ",".join(map(str, networks.priority)),
        change_priority,
        "slots of ways to a network, in the order in which they are tried; acted upon after a reset",
        choices=numbers,
        persistent=True,
    )
    yield live(
        "OCPPCommCtrlr.ActiveNetworkProfile",
        DataType.INTEGER,
        lambda: str(networks.active),
        help_text="slot of the way in use",
        minimum=0,
        maximum=float(numbers[-1]),
    )
    yield live(
        "SecurityCtrlr.AllowSecurityProfileDowngrade",
        DataType.BOOLEAN,
        lambda: "true" if networks.may_lower else "false",
        help_text="OCPP 2.1 may go from security profile 3 to 2 (ocpp.allow_profile_downgrade)",
        monitored=False,
        constant=True,
    )
    for number in networks.slots.numbers:
        yield from slot_entries(Slot(networks, number, record))


class Slot:
    """``agent.device_model.network_configuration.NetworkSlot``."""

    def __init__(self, networks: Networks, number: int, record: Record) -> None:
        self._networks = networks
        self.number = number
        self._record = record

    def read(self, name: str) -> str | None:
        held = self._networks.slot(self.number)
        if name in FIXED:
            return FIXED[name] if held is not None or name != "OcppTransport" else None
        if held is None:
            return None
        match name:
            case "OcppCsmsUrl":
                return held.url
            case "OcppInterface":
                return held.interface or "Any"
            case "OcppVersion":
                return version_word(held)
            case "MessageTimeout":
                return str(held.message_timeout_s) if held.message_timeout_s else None
            case "SecurityProfile":
                return str(held.security_profile)
        return held.identity

    def writable(self, name: str) -> bool:
        return name not in FIXED

    def change(self, name: str, text: str) -> Change:
        networks = self._networks
        if self.number in (*networks.slots.priority, *networks.priority):  # 2.1 B09.FR.22
            return _rejected(f"slot {self.number} is in NetworkConfigurationPriority; take it out of there first")
        used = networks.settled()
        empty = NetworkProfile("", used.identity, used.security_profile, ca_file=used.ca_file, versions=used.versions)
        try:
            networks.write_slot(self.number, changed(networks.slot(self.number) or empty, name, text.strip()))
        except (ProposalError, SecretFileError) as error:
            return _rejected(str(error))
        self._record(SecurityEvent.RECONFIGURATION, f"{name} of network profile {self.number}")
        return ACCEPTED


def _rejected(why: str) -> Change:
    return Change(ChangeStatus.REJECTED, "InvalidValue", why)
