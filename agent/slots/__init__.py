"""Two slots for the software itself: signed bundles, an atomic switch, proof after the restart, and the way back."""
