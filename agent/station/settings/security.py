"""Certificates and names."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("SecurityCtrlr.OrganizationName", Kind.STRING, "", "operator's name, in certificates of this station"),
    Setting(
        "SecurityCtrlr.AdditionalRootCertificateCheck",
        Kind.BOOLEAN,
        False,
        "a new root of the network must be signed by the one it replaces",
        writable=False,
    ),
    Setting(
        "SecurityCtrlr.MaxCertificateChainSize",
        Kind.INTEGER,
        10_000,
        "characters of a signed chain",
        "",
        1000,
        10_000,
        writable=False,
    ),
    Setting(
        "SecurityCtrlr.CertificateEntries", Kind.INTEGER, 30, "certificates stored in all", "", 3, 200, writable=False
    ),
    Setting(
        "SecurityCtrlr.CertSigningWaitMinimum",
        Kind.INTEGER,
        60,
        "until a request to sign a certificate is sent again (OCPP 2.x); doubled each time",
        "s",
        1,
        86_400,
    ),
    Setting(
        "SecurityCtrlr.CertSigningRepeatTimes",
        Kind.INTEGER,
        5,
        "how often that time is doubled before the charge point gives up (OCPP 2.x)",
        "",
        0,
        20,
    ),
)
