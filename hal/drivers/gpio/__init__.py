"""Everything that hangs on pins: contactors, locks, monitors, switches, lights, Wiegand readers, pulse meters."""

from hal.drivers.gpio.driver import DRIVER as DRIVER
