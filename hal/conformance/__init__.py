"""The conformance kit: does a driver keep the contract of ``hal.ports`` on a real wire?

``kit.examine(subject)`` asks every question of ``findings.CHECKS`` and returns a ``Report``. Three ways lead to it:
``evse-agent test-driver``, the pytest class ``hal.conformance.plugin.DriverConformance``, and your own code. Control
never imports this package.
"""
