"""Simulated pins: a GPIO chip, a pilot front end behind SPI and PWM, and the electronics of a charger around them."""
