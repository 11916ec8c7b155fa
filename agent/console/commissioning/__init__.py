"""Taking a charge point aboard: answers, what they make of the configuration, and the report that is signed."""
