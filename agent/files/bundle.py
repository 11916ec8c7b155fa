"""Makes the file that goes to the operator: a tar.gz of documents, never larger than allowed."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path

from agent.files.job import Job

CUT = "… the beginning was left out to keep the file small\n"


def make(job: Job) -> Path:
    """Write the bundle of a job to its path, readable by its owner only. Return where it is."""
    assert job.bundle is not None
    bundle, path = job.bundle, Path(job.path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    documents = bundle.documents if bundle.plain else {**bundle.documents, "versions.json": versions()}
    while True:
        data = _plain(documents) if bundle.plain else _tar(bundle.name, documents)
        if len(data) <= bundle.max_bytes or not any(documents.values()):
            break
        # The end of a log is what matters; the longest document gives way first.
        longest = max(documents, key=lambda name: len(documents[name]))
        text = documents[longest]
        documents = {**documents, longest: CUT + text[len(text) // 2 + len(CUT) :] if len(text) > 1000 else ""}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return path


def versions() -> str:
    """What runs here: system, Python, packages."""
    from importlib import metadata

    found = {"python": sys.version, "system": " ".join(os.uname())}
    for one in metadata.distributions():
        found[str(one.metadata["Name"])] = one.version
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _plain(documents: dict[str, str]) -> bytes:
    return "".join(documents.values()).encode("utf-8", "replace")


def _tar(name: str, documents: dict[str, str]) -> bytes:
    folder = name.removesuffix(".tar.gz")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for inner, text in documents.items():
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"{folder}/{inner}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
