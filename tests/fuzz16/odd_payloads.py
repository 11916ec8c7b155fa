"""Payloads made from the JSON schemas of OCPP 1.6 (``odd_schema``): what its fields are worth trying with."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.fuzz16.odd_schema import ADDRESSES, Asked, OddPayloads

__all__ = ["ACTIONS", "CARDS", "Asked", "anything", "requests", "schema"]

ACTIONS = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DataTransfer",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "InstallCertificate",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
)
"""Everything that a CSMS may ask of a charge point, security extensions included."""

CARDS = ("04A1B2C3", "card", "CARD", "PARENT", " ", "", "x" * 20)

KEYS = (
    "AuthorizationKey",
    "AuthorizeRemoteTxRequests",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "CpoName",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthListEnabled",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxEnergyOnInvalidId",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "MinimumStatusDuration",
    "NumberOfConnectors",
    "ReservationEnabled",
    "ResetRetries",
    "SecurityProfile",
    "StationMaxCurrent",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnSampledData",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
    "authorizeremotetxrequests",
    "NoSuchKey",
)

VALUES = (
    "true",
    "false",
    "TRUE",
    "0",
    "1",
    "-1",
    "+1",
    "60",
    "3600",
    "86400",
    "2147483647",
    "9223372036854775808",
    "6",
    "16.5",
    "1e3",
    "NaN",
    "Infinity",
    "Energy.Active.Import.Register",
    "Voltage,Current.Import",
    "Current.Import.L1",
    ",",
    ",,",
    "0.RST",
    "1.RST,2.RTS",
)

NAMED: dict[str, st.SearchStrategy[Any]] = {
    "connectorId": st.sampled_from((0, 1, 2, 1, 2, 3, -1, 2**31, 2**63 - 1, -(2**63))),
    "transactionId": st.sampled_from((1, 2, 3, 0, -1, 2**31, 2**63 - 1)),
    "reservationId": st.integers(-2, 3),
    "listVersion": st.integers(-2, 6),
    "idTag": st.sampled_from(CARDS),
    "parentIdTag": st.sampled_from(CARDS),
    "key": st.sampled_from(KEYS),
    "value": st.sampled_from(VALUES),
    "location": st.sampled_from(ADDRESSES),
    "remoteLocation": st.sampled_from(ADDRESSES),
    "vendorId": st.sampled_from(("org.evse-agent", "evse-agent", "other", "")),
    "messageId": st.sampled_from(("SetNetwork", "GetNetwork", "", "x")),
    "data": st.sampled_from(("{}", "[]", "null", '{"url": 1}', '{"url": "ws://127.0.0.1:9/x"}', "{" * 60, "")),
}
"""What is worth trying at fields of these names, besides anything at all."""

CODES = {
    "type": "TypeConstraintViolation",
    "required": "ProtocolError",
    "additionalProperties": "FormationViolation",
    "minItems": "OccurenceConstraintViolation",
}
"""Any other keyword: PropertyConstraintViolation (OCPP-J 1.6 §4.2.3)."""

_ODD = OddPayloads("v16", "", ACTIONS, NAMED, CODES, ("x", "", "__proto__", "connectorID"), last=16.05)

schema = _ODD.schema
requests = _ODD.requests
anything = _ODD.anything
