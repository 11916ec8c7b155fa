"""The configuration file: what it may hold, and how it is read with every error named by file and line."""

from agent.config.loader import ConfigError, Finding, check, load
from agent.config.schema import Config

__all__ = ["Config", "ConfigError", "Finding", "check", "load"]
