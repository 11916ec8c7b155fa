"""CAN for drivers: frames, buses that never block, and tables compiled from a DBC file."""
