"""A TCP proxy between charge point and network that fails as real links do."""

from simulators.proxy.proxy import Link, Proxy

__all__ = ["Link", "Proxy"]
