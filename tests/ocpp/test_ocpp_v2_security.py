"""Security events by the words of OCPP 2 (part 2, appendix 1)."""

from __future__ import annotations

import subprocess
import sys

from agent.ocpp.v2.security import WORDS
from agent.security.events import PUSHED, SecurityEvent

CRITICAL = {
    "FirmwareUpdated": True,
    "FailedToAuthenticateAtCsms": False,
    "CsmsFailedToAuthenticate": False,
    "SettingSystemTime": True,
    "StartupOfTheDevice": True,
    "ResetOrReboot": True,
    "SecurityLogWasCleared": True,
    "ReconfigurationOfSecurityParameters": False,
    "MemoryExhaustion": True,
    "InvalidMessages": False,
    "AttemptedReplayAttacks": False,
    "TamperDetectionActivated": True,
    "InvalidFirmwareSignature": True,
    "InvalidFirmwareSigningCertificate": True,
    "InvalidCsmsCertificate": True,
    "InvalidChargingStationCertificate": True,
    "InvalidTLSVersion": True,
    "InvalidTLSCipherSuite": True,
    "MaintenanceLoginAccepted": True,
    "MaintenanceLoginFailed": True,
}
"""The appendix, version 1.4: name and whether it is critical, so that the network must hear of it (A04.FR.01)."""

OF_2_1 = {"DiscardedRenewedClientCertificate": True}
"""A02.FR.29"""


def test_every_event_has_its_word_and_the_critical_ones_are_told() -> None:
    ours = {WORDS.get(event.value, event.value): event in PUSHED for event in SecurityEvent}
    assert ours == CRITICAL | OF_2_1
    assert all(len(word) <= 50 for word in ours)


def test_cryptography_is_not_loaded_before_a_certificate_is_spoken_of() -> None:
    code = "import sys, agent.app, agent.ocpp.v2.session; print([m for m in sys.modules if m.startswith('cryptogr')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "[]"
