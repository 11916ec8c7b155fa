"""Tariffs of OCPP 2.1, and what a transaction costs by them, reckoned here (I07 to I12)."""
