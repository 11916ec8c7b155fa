"""CANopen input and output modules (CiA 401)."""

from hal.drivers.canopen_io.driver import DRIVER

__all__ = ["DRIVER"]
