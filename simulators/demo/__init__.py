"""The story that `make demo` plays: one charger, two drivers, a lost uplink, and a ledger at the end."""
