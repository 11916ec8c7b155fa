"""Nodes on a simulated CAN bus, each behind a serial adapter that speaks slcan."""
