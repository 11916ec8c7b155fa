"""A control pilot driven straight from Linux: hardware PWM through sysfs, read back by an ADC behind SPI."""

from hal.drivers.linux_pilot.driver import DRIVER as DRIVER
