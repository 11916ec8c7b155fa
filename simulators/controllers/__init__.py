"""Charge controllers that run the pilot and the contactor by themselves and are spoken to over Modbus."""
