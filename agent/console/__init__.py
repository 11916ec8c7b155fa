"""The technician's console: a client of the local API on a serial port or a terminal."""
