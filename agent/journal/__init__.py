"""Everything that must survive: events to deliver, open transactions, lists, settings."""
