"""The device model of OCPP 2.x, in no message's words: components, their variables, and monitors that watch them."""
