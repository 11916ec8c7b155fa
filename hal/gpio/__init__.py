"""Pins of any Linux board: GPIO chips through the kernel's character device, spidev, and a pin factory for gpiozero.

Nothing here waits or starts a thread, except ``hal.gpio.factory``, which serves programs that use gpiozero.
"""
