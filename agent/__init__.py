"""evse-agent: the software that runs inside a Linux-based charge point."""

__version__ = "0.1.0"
