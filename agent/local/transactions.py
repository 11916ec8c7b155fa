"""``evse-agent transactions``: list, retry, export."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.durable import put_in_place
from agent.local.client import LocalClient

PAGE = 200


def listed(client: LocalClient, as_json: bool) -> str:
    """Return the latest transactions as a table, or as JSON."""
    document = client.call("transactions")
    if as_json:
        return json.dumps(document, indent=2)
    return "\n".join(_lines(document))


def retried(client: LocalClient, identity: str | None) -> str:
    """Offer what was set aside again. Raises CallError when there is nothing of that transaction."""
    parameters = {} if identity is None else {"id": identity}
    count = client.call("transactions.retry", **parameters)["records"]
    if not count:
        return "nothing is set aside"
    return f"{count} {'record goes' if count == 1 else 'records go'} back into the line and will be sent again"


def exported(client: LocalClient, path: Path) -> str:
    """Write all that the network has not got to a file, a JSON object per line. Nothing leaves the books by this.

    The file is complete on disk before it has its name. Raises OSError.
    """
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with partial.open("w", encoding="utf-8") as file:
            for record in _records(client):
                file.write(json.dumps(record, separators=(",", ":")) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        put_in_place(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return f"{count} {'record' if count == 1 else 'records'} written to {path}; they stay on the books"


def _records(client: LocalClient) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        page = client.call("transactions.export", after=after, limit=PAGE)
        yield from page["records"]
        if page["next"] is None:
            return
        after = page["next"]


def _lines(document: dict[str, Any]) -> Iterator[str]:
    transactions = document["transactions"]
    if not transactions:
        yield "no transaction yet"
        return
    yield f"{'started (UTC)':<20}{'EVSE':>4} {'kWh':>9}  {'network':>10}  state"
    for one in transactions:
        started = (one["started_at"] or "unknown")[:19].replace("T", " ")
        known = one["start_wh"] is not None and one["end_wh"] is not None
        energy = f"{(one['end_wh'] - one['start_wh']) / 1000:.3f}" if known else "-"
        number = "-" if one["network_number"] is None else str(one["network_number"])
        yield f"{started:<20}{one['evse']:>4} {energy:>9}  {number:>10}  {_state(one)}"
        yield f"  {one['id']}"
        if one["refused"]:
            yield f"  refused: {one['refused'][:68]}"
    if document["records_of_others"]:
        yield f"and {document['records_of_others']} records of older transactions wait"
    if any(one["set_aside"] for one in transactions):
        yield "'evse-agent transactions retry' offers again what was set aside; it is offered after each reconnect, too"


def _state(one: dict[str, Any]) -> str:
    if one["set_aside"]:
        return f"{one['set_aside']} set aside"
    return f"{one['records']} waiting" if one["records"] else str(one["state"])
