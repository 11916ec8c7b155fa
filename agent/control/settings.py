"""What the core needs to know of one EVSE's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.config.schema import (
    Config,
    ConnectorType,
    Evse,
    MeterLoss,
    ResidualCurrentProfile,
    SelfTestPolicy,
    Temperature,
)
from hal.ports import PortKind


@dataclass(frozen=True, slots=True)
class EvseSettings:
    """Fixed facts of one EVSE. Currents in ampere per phase, times in seconds, temperatures in °C."""

    evse: int
    max_current_a: float
    """Lower of outlet and feed."""
    phases: int
    socket: bool
    has_lock: bool
    ports: frozenset[PortKind]
    """Ports that the configured devices offer to this EVSE."""
    ventilation: bool = False
    us_residual_current: bool = False
    daily_self_test: bool = False
    """The residual-current self-test is run once a day, not before each close."""
    monitor_open_pen: bool = False
    nominal_voltage_v: float = 230.0
    simplified_pilot_limit_a: float = 0.0
    stop_on_meter_loss: bool = False
    fail_safe_current_a: float = 6.0
    fail_safe_s: float = 600.0
    temperature: Temperature = field(default_factory=Temperature)
    unsupervised: frozenset[PortKind] = frozenset()
    """Ports whose readings age by their own time: their device has no life sign."""

    @property
    def has_meter(self) -> bool:
        return PortKind.POWER_METER in self.ports

    @property
    def follows(self) -> bool:
        """The pilot is a charge controller's, which closes its contacts by itself (``hal.ports.ChargeController``)."""
        return PortKind.CHARGE_CONTROLLER in self.ports

    @property
    def has_board(self) -> bool:
        return PortKind.BOARD in self.ports


def settings_of(
    config: Config, evse: Evse, ports: frozenset[PortKind], unsupervised: frozenset[PortKind]
) -> EvseSettings:
    """Return the facts of one EVSE of the configuration, given the ports its devices offer and which of them have
    no life sign behind them."""
    feed = config.installation
    socket = evse.connector is ConnectorType.SOCKET
    return EvseSettings(
        evse=evse.id,
        max_current_a=min(evse.max_current_a, feed.max_current_a),
        phases=min(evse.phases, feed.phases),
        socket=socket,
        has_lock=socket and evse.has_lock,
        ports=ports,
        ventilation=feed.ventilation,
        us_residual_current=feed.residual_current_profile is ResidualCurrentProfile.US,
        daily_self_test=feed.self_test_policy is SelfTestPolicy.DAILY,
        monitor_open_pen=feed.monitor_open_pen,
        nominal_voltage_v=feed.nominal_voltage_v,
        simplified_pilot_limit_a=evse.simplified_pilot_limit_a,
        stop_on_meter_loss=evse.on_meter_loss is MeterLoss.STOP,
        fail_safe_current_a=config.control.fail_safe_current_a,
        fail_safe_s=config.control.fail_safe_s,
        temperature=config.control.temperature,
        unsupervised=unsupervised,
    )
