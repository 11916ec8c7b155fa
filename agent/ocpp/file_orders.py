"""Reads what the network orders of files: the security white paper for 1.6 and OCPP 2.x have the same words for it."""

from __future__ import annotations

from typing import Any

from agent.files.notices import About
from agent.files.uploads import LogKind, UploadOrder, Uploads
from agent.ocpp.times import read_time
from agent.update.order import Order
from agent.update.service import Updates

Payload = dict[str, Any]

LOG_KINDS = {"DiagnosticsLog": LogKind.DIAGNOSTICS, "SecurityLog": LogKind.SECURITY}


def update_order(
    updates: Updates, payload: Payload, location: str, retrieve: str, install: str | None
) -> tuple[Order | None, str]:
    """Read the order of an update (``payload``: the whole request); or None, and what is wrong with it."""
    problem = updates.address_problem(location)
    if problem:
        return None, problem
    retrieve_utc_s = read_time(retrieve)
    install_utc_s = None if install is None else read_time(install)
    if retrieve_utc_s is None or (install is not None and install_utc_s is None):
        return None, "a date is not readable; write it as 2026-01-31T12:00:00Z"
    retries, interval_s = updates.defaults()
    firmware = payload.get("firmware", {})
    order = Order(
        location,
        retrieve_utc_s,
        install_utc_s,
        max(0, payload.get("retries", retries)),
        float(max(0, payload.get("retryInterval", interval_s))),
        payload.get("requestId"),
        firmware.get("signingCertificate", ""),
        firmware.get("signature", ""),
    )
    return order, ""


def log_order(uploads: Uploads, payload: Payload) -> tuple[UploadOrder | None, str]:
    """Read a GetLog; or None, and what is wrong with it."""
    wanted = payload["log"]
    problem = uploads.address_problem(wanted["remoteLocation"])
    times = {}
    for name in ("oldestTimestamp", "latestTimestamp"):
        times[name] = read_time(wanted[name]) if name in wanted else None
        if name in wanted and times[name] is None:
            problem = f"{name} is no time"
    if problem:
        return None, problem
    order = UploadOrder(
        About.LOG,
        LOG_KINDS[payload["logType"]],
        wanted["remoteLocation"],
        payload.get("retries"),
        payload.get("retryInterval"),
        times["oldestTimestamp"],
        times["latestTimestamp"],
        payload["requestId"],
    )
    return order, ""
