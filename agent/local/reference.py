"""``docs/local-api.md``, written from the methods themselves: names, roles, parameters, results, topics.

``python -m agent.joints.local_api`` prints it. A test compares it with what is in ``docs``.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from agent.local.methods import Method
from agent.local.roles import Role
from agent.local.rpc import spelled
from agent.local.topics import Polled, Published

HEAD = """# The local API

Written from the code by `python -m agent.joints.local_api`; do not edit.

The agent listens on a unix socket, `/run/evse-agent/api.sock` (`paths.runtime_dir`). Each line is one JSON-RPC 2.0
request, answer or notification, at most 64 KiB from the client. Console and command line use this and nothing else.

```
→ {"jsonrpc": "2.0", "id": 1, "method": "status"}
← {"jsonrpc": "2.0", "id": 1, "result": {"station": …, "evses": [ … ]}}
→ {"jsonrpc": "2.0", "id": 2, "method": "subscribe", "params": {"topic": "evse", "evse": 1, "period_s": 1}}
← {"jsonrpc": "2.0", "id": 2, "result": {"subscription": 1}}
← {"jsonrpc": "2.0", "method": "event", "params": {"subscription": 1, "topic": "evse", "value": …}}
```

Try it: `printf '{"jsonrpc":"2.0","id":1,"method":"status"}\\n' | socat - UNIX-CONNECT:/run/evse-agent/api.sock`

## Who may call

The kernel tells who connects. Root and the agent's own user have the role `service`; others have the highest role that
one of their groups gives (`local_api` in the configuration); a PIN (`session.login`) raises it for the connection.
Every call that changes something is noted in `security/audit.log` of the state directory, refused or not.

| Role | May |
|---|---|
| `none` | log in, ask for the version |
| `observe` | look at everything |
| `operate` | what a site's staff does every day |
| `service` | everything |

A request that is refused gives an error with code −32000 (the text says why and what to do), −32001 when the role does
not suffice. Sixteen clients at a time; the one silent longest gives way. A client that does not read what was sent to
it for 5 s is dropped.
"""


def reference(methods: Mapping[str, Method], topics: Mapping[str, Polled | Published]) -> str:
    """Return the whole page."""
    parts = [HEAD, "## Methods\n"]
    documents: dict[str, type] = {}
    parts += ["\n".join(_method(name, methods[name], documents)) for name in sorted(methods)]
    parts.append("## Topics\n")
    rows = ["| Topic | Told | Value |", "|---|---|---|"]
    for name in sorted(topics):
        source = topics[name]
        told = "as it happens"
        if isinstance(source, Polled):
            told = "at every interval" if source.always else "when it has changed"
            _collect(typing.get_type_hints(source.read).get("return"), documents)
        rows.append(f"| `{name}` | {told} | {source.help} |")
    parts.append("\n".join(rows) + "\n")
    parts.append("## Documents\n")
    done: set[str] = set()
    while waiting := sorted(set(documents) - done):
        for name in waiting:
            done.add(name)
            parts.append("\n".join(_document(documents[name], documents)))
    return "\n".join(parts).rstrip() + "\n"


def _method(name: str, method: Method, documents: dict[str, type]) -> Iterator[str]:
    changes = ", audited" if method.changes else ""
    yield f"### `{name}`"
    yield ""
    yield f"Role `{method.role.word if method.role is not Role.NONE else 'none'}`{changes}. {_prose(method.function)}"
    yield ""
    if method.parameters:
        yield "| Parameter | Type | Default |"
        yield "|---|---|---|"
        for each, parameter in method.parameters.items():
            default = "needed" if parameter.default is inspect.Parameter.empty else f"`{_shown(parameter.default)}`"
            yield f"| `{each}` | {spelled(method.hints.get(each, Any))} | {default} |"
        yield ""
    result = method.hints.get("return", Any)
    yield f"Result: {_type(result, documents)}."
    yield ""


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _prose(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").replace("``", "`").split())


def _collect(hint: Any, documents: dict[str, type]) -> None:
    if typing.is_typeddict(hint):
        documents.setdefault(hint.__name__, hint)
    for inner in typing.get_args(hint):
        _collect(inner, documents)


def _type(hint: Any, documents: dict[str, type]) -> str:
    _collect(hint, documents)
    if typing.is_typeddict(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and inner:
        return f"list of {_type(inner[0], documents)}"
    if origin is dict or hint is dict:
        return "an object"
    if origin in (typing.NotRequired, typing.Required):
        return _type(inner[0], documents)
    if hint is Any:
        return "anything"
    return " or ".join(
        _type(each, documents) if typing.is_typeddict(each) or typing.get_origin(each) else spelled(each)
        for each in (inner if inner else (hint,))
    )


def _document(kind: type, documents: dict[str, type]) -> Iterator[str]:
    yield f"### {kind.__name__}"
    yield ""
    if prose := _prose(kind):
        yield prose
        yield ""
    yield "| Field | Type | Means |"
    yield "|---|---|---|"
    notes = _field_notes(kind)
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        left_out = " (may be left out)" if typing.get_origin(hint) is typing.NotRequired else ""
        yield f"| `{name}` | {_type(hint, documents)}{left_out} | {notes.get(name, '')} |"
    yield ""


def _field_notes(kind: type) -> dict[str, str]:
    """Read the texts that stand below the fields in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    notes: dict[str, str] = {}
    last = ""
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            notes[last] = " ".join(str(node.value.value).split()).replace("``", "`").replace("|", "\\|")
    return notes
