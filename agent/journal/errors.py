"""What can go wrong with the journal."""

from __future__ import annotations


class JournalError(Exception):
    """The journal could not do what was asked. Nothing of the failed commit was kept; the object stays usable.

    The text names the file, the trouble and the remedy.
    """


class JournalLockedError(JournalError):
    """Another process uses the file."""


class JournalDamagedError(JournalError):
    """The file turned out to be damaged while in use. ``Journal.repair`` puts it aside and goes on with the rest."""
