"""A vehicle as the charger sees it: a load on the control pilot, and currents behind the contactor."""
