"""The laboratory: boards, meters, a reader and vehicles, assembled behind ptys and ruled over a socket.

``Lab`` runs one in a process of its own and is a context manager; ``LabControl`` speaks to a running one.
"""

from simulators.lab.client import CommandRefusedError, LabControl
from simulators.lab.process import Lab

__all__ = ["CommandRefusedError", "Lab", "LabControl"]
