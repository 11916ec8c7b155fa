"""Options of the driver ``modbus-controller``."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.modbus.polled import check_units
from hal.drivers.modbus.tcp_line import check_host
from hal.drivers.modbus_controller.model import Model, Wire
from hal.drivers.modbus_controller.models import MODELS, ModelName
from hal.options import option

LOWEST_FAILSAFE_A = 6.0


def _check_controllers(controllers: tuple[ControllerOptions, ...]) -> str:
    if not controllers:
        return "name at least one controller, or leave it out for one at the model's own address"
    return check_units(controllers, "controller")


def _check_failsafe(current_a: float) -> str:
    if current_a == 0 or current_a >= LOWEST_FAILSAFE_A:
        return ""
    return f"{current_a:g} A is no current that a vehicle charges with; use 0 (stop) or 6 and more"


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    address: int = option(-1, help="Modbus address (unit id); −1 is the model's own default", ge=-1, le=255)
    name: str = option("", help="name of the unit; may be left out when there is one only")


@dataclass(frozen=True, slots=True)
class ModbusControllerOptions:
    model: ModelName = option(help=f"make of the controller: {', '.join(name.value for name in ModelName)}")
    port: str = option(
        "",
        help="serial node of the line (RTU and ASCII models), best one under /dev/serial/by-id",
        exclusive="serial port",
    )
    host: str = option(
        "", help="IP address of the controller (TCP models)", exclusive="Modbus TCP peer", check=check_host
    )
    tcp_port: int = option(502, help="TCP port of the controller", ge=1, le=65_535)
    controllers: tuple[ControllerOptions, ...] = option(
        (ControllerOptions(),), help="the controllers on the line", check=_check_controllers
    )
    baud: int = option(0, help="line speed; 0 is the model's own default", unit="Bd", ge=0, le=921_600)
    parity: str = option("", help="N, E or O; empty is the model's own default", choices=("", "N", "E", "O"))
    stop_bits: int = option(0, help="stop bits; 0 is the model's own default", choices=(0, 1, 2))
    poll_interval_s: float = option(0.5, help="pause between two looks at a controller", unit="s", ge=0.05, le=2)
    response_timeout_s: float = option(
        0.0, help="how long a controller may think; 0 is the model's own default", unit="s", ge=0, le=2
    )
    watchdog_s: float = option(
        6.0, help="silence after which a controller with a watchdog of its own acts", unit="s", ge=4, le=60
    )
    failsafe_current_a: float = option(
        0.0, help="what it then still offers; 0 stops charging", unit="A", ge=0, le=80, check=_check_failsafe
    )
    meter: bool = option(False, help="take meter readings from the controller, where the model gives them")
    proximity: bool = option(False, help="take the cable's coding from the controller, where the model gives it")

    @property
    def description(self) -> Model:
        return MODELS[self.model]

    def trouble(self) -> str:
        """What in the combination can never work, with the remedy; empty when all is well."""
        model = self.description
        tcp = model.wire is Wire.TCP
        if tcp and not self.host:
            return f"model {model.name} is reached over TCP; set 'host' to its address"
        if not tcp and not self.port:
            return f"model {model.name} hangs on a serial line; set 'port'"
        if tcp and self.port:
            return f"model {model.name} is reached over TCP; take 'port' out"
        if not tcp and self.host:
            return f"model {model.name} hangs on a serial line; take 'host' out"
        if 0 < self.baud < 1200:
            return f"baud: {self.baud} is below 1200"
        if self.failsafe_current_a > model.max_current_a:
            return f"failsafe_current_a: model {model.name} offers {model.max_current_a:g} A at most"
        if self.meter and model.measure is None:
            return f"model {model.name} measures no energy; take 'meter' out and give the EVSE a meter of its own"
        if self.proximity and not model.reads_proximity:
            return f"model {model.name} does not tell the cable's coding; take 'proximity' out"
        for each in self.controllers:
            if not tcp and each.address == 0:
                return "address 0 speaks to all devices of a serial line; give the controller's own"
        return _check_controllers(self.controllers)

    def address_of(self, controller: ControllerOptions) -> int:
        return self.description.default_unit if controller.address < 0 else controller.address
