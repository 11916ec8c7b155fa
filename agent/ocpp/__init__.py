"""The tunnel to the operator's network: RPC, connection, delivery, one package per OCPP version."""
