"""OCPP 1.6J: the station's words and OCPP 1.6's, both ways."""
