"""Pilot boards with a microcontroller of their own, as they look from the serial line."""
