"""The local API on a unix socket: what console, CLI and display may ask."""
