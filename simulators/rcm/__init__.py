"""Residual-current monitors: what flows, when it must trip, and the Modbus registers that tell."""
