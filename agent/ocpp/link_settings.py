"""Settings of the link whose first value the configuration file has in options of its own (OCPP 2.0.1 part 4 §5.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.config.schema import Ocpp
from agent.ocpp.back_off import back_off
from agent.station.settings import Settings

MINIMUM = "OCPPCommCtrlr.RetryBackOffWaitMinimum"
RANDOM = "OCPPCommCtrlr.RetryBackOffRandomRange"
REPEATS = "OCPPCommCtrlr.RetryBackOffRepeatTimes"
ATTEMPTS = "OCPPCommCtrlr.NetworkProfileConnectionAttempts"


def from_file(ocpp: Ocpp) -> Iterator[tuple[str, str]]:
    """Return (setting, text). Fractions of a second are rounded up: the device model has whole ones."""
    yield MINIMUM, str(math.ceil(ocpp.back_off_minimum_s))
    yield RANDOM, str(math.ceil(ocpp.back_off_random_s))
    yield REPEATS, str(ocpp.back_off_repeats)
    yield ATTEMPTS, str(ocpp.network_attempts)


def waits(ocpp: Ocpp, settings: Settings) -> Iterator[float]:
    """Yield the waits between tries to connect, in seconds, as the settings say now."""

    def seconds(name: str, in_file_s: float) -> float:
        # The file's value holds to the fraction until the network sets another.
        value_s = settings.integer(name)
        return in_file_s if value_s == math.ceil(in_file_s) else float(value_s)

    return back_off(
        seconds(MINIMUM, ocpp.back_off_minimum_s), seconds(RANDOM, ocpp.back_off_random_s), settings.integer(REPEATS)
    )
