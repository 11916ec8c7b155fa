"""Boards on a CAN bus that a DBC file and a mapping describe."""

from hal.drivers.can_board.driver import DRIVER

__all__ = ["DRIVER"]
