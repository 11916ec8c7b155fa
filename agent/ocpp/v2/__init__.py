"""OCPP 2.0.1 and 2.1: translates between the station and their messages, in wire dictionaries."""
