"""Charge controllers with a Modbus interface. See docs/hardware/modbus-controller.md."""

from hal.drivers.modbus_controller.driver import DRIVER
from hal.drivers.modbus_controller.models import ModelName
from hal.drivers.modbus_controller.options import ControllerOptions, ModbusControllerOptions

__all__ = ["DRIVER", "ControllerOptions", "ModbusControllerOptions", "ModelName"]
