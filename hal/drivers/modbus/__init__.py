"""Modbus for masters: requests and answers, three framings (RTU, ASCII, TCP), and one transaction at a time."""
