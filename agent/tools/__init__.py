"""Commands of ``evse-agent`` that need no running agent: for workshop, installation and the search for a fault."""
