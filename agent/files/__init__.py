"""Files to and from the operator: addresses, transfers in a process of their own, support bundles, uploads."""
