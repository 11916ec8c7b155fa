"""What a charger's hardware is: ports, readings with units, the driver registry and the drivers.

Only the control process imports this package. It imports nothing of the rest of the product.
"""
