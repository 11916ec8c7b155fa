"""Variables of the device model that belong to no station: who we are to the network, and with which credentials.

Loaded only where OCPP 2.x is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.device_model.device import live
from agent.device_model.variables import ACCEPTED, Change, ChangeStatus, DataType, Entry
from agent.ocpp.network_profile import ProposalError, literal_password
from agent.ocpp.networks import Networks
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError
from agent.station.settings import SETTINGS

LONGEST_PASSWORD = 40
"""passwordString (part 2, SecurityCtrlr.BasicAuthPassword)."""


def of_security(
    networks: Networks, certificates: Callable[[], int], record: Callable[[SecurityEvent, str], object]
) -> Iterator[Entry]:
    """``certificates``: how many are stored; ``record``: notes a security event."""

    def change_password(text: str) -> Change:
        """A01: answered first; then the tunnel connects anew with the new password."""
        try:
            tried = networks.propose_key(text, literal_password)
        except (ProposalError, SecretFileError) as error:
            return Change(ChangeStatus.REJECTED, "InvalidValue", str(error))
        record(SecurityEvent.RECONFIGURATION, "BasicAuthPassword" + ("" if tried else ", not in use"))
        return ACCEPTED

    if not networks.known:
        return
    most = SETTINGS["SecurityCtrlr.CertificateEntries"].default
    yield live(
        "SecurityCtrlr.Identity",
        DataType.STRING,
        lambda: networks.settled().identity,
        help_text="of this charge point, at the network in use",
        maximum=48,
    )
    yield live(
        "SecurityCtrlr.BasicAuthPassword",
        DataType.STRING,
        None,
        change_password,
        "at the network in use: 16 to 40 characters; tried before it is believed",
        maximum=LONGEST_PASSWORD,
        persistent=True,
    )
    yield live(
        "SecurityCtrlr.SecurityProfile",
        DataType.INTEGER,
        lambda: str(networks.settled().security_profile),
        help_text="of the connection to the network in use",
        minimum=0,
        maximum=3,
        persistent=True,
    )
    yield live(
        "SecurityCtrlr.CertificateEntries",
        DataType.INTEGER,
        lambda: str(certificates()),
        help_text="stored here; maxLimit: that can be",
        minimum=0,
        maximum=float(most) if isinstance(most, int) else None,
        monitored=False,
    )
