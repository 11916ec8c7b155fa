"""Simulated hardware and networks that speak the real wires."""
