"""Files that hold secrets: never half written, never readable by others."""

from __future__ import annotations

from pathlib import Path

from agent.durable import sync_folder, write_private

FOLDER_MODE = 0o700


class SecretFileError(OSError):
    """A file of keys or certificates cannot be written. The text names it and says what to look at."""


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter, and take other rights away if it is there. Raises OSError."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(FOLDER_MODE)


def write_secret(path: Path, data: bytes) -> None:
    """Put ``data`` in place of the file: whole and on the disk, or not at all. Raises SecretFileError."""
    try:
        make_folder(path.parent)
        write_private(path, data)
    except OSError as error:
        raise SecretFileError(f"{path}: cannot be written ({error}); look at space and rights of its folder") from error


def remove(path: Path) -> None:
    """Delete a file, durably. Harmless when it is not there. Raises SecretFileError."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
    except OSError as error:
        raise SecretFileError(f"{path}: cannot be deleted ({error}); look at the rights of its folder") from error
