"""The charge point's business, in no protocol's words."""
