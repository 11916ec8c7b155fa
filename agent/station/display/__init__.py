"""Messages of the network for the driver's display: kept, and resolved into what must be shown now."""
