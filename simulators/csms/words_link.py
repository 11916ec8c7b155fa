"""Words that act on connections, send commands, wait, and print what is on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .vocabulary import WORDS, Arguments, WordError, word

if TYPE_CHECKING:
    from .server import Csms


@word("call ACTION [JSON] [cp=ID] [timeout=SECONDS]", "send a command and print the answer")
async def _call(csms: Csms, args: Arguments) -> Any:
    action = args.take("ACTION")
    text = args.maybe()
    payload = {} if text is None else args.json(text)
    charge_point, timeout = args.option("cp"), args.number("timeout", args.option("timeout"), 30.0)
    args.done()
    if not isinstance(payload, dict):
        raise WordError(f"call: the payload must be a JSON object, not {text!r}")
    return await csms.call(charge_point, action, payload, timeout)


@word("send TEXT [cp=ID]", "send any text as one frame")
async def _send(csms: Csms, args: Arguments) -> Any:
    text = args.take("TEXT")
    charge_point = args.option("cp")
    args.done()
    await csms.send_text(text, charge_point)
    return {"sent": text}


@word("close [CODE] [REASON] [cp=ID]", "close the connection with a code; 1006 cuts it with no closing frame")
async def _close(csms: Csms, args: Arguments) -> Any:
    code = args.whole("CODE", args.maybe(), low=1000) or 1000
    reason = args.maybe() or ""
    session = csms.session(args.option("cp"))
    args.done()
    if not (code in (1000, 1001, 1002, 1003, 1006, *range(1007, 1015)) or 3000 <= code < 5000):
        raise WordError(f"close: {code} may not be sent; allowed are 1000-1003, 1006-1014 and 3000-4999")
    await session.close(code, reason)
    return {"closed": session.id, "code": code}


@word("stop-reading [cp=ID]", "take nothing more from this connection, yet keep it open: a half-open link")
def _stop_reading(csms: Csms, args: Arguments) -> Any:
    session = csms.session(args.option("cp"))
    args.done()
    session.stop_reading()
    return {"charge_point": session.id, "reading": False}


@word("resume-reading [cp=ID]", "read again, from where it stopped")
def _resume_reading(csms: Csms, args: Arguments) -> Any:
    session = csms.session(args.option("cp"))
    args.done()
    session.resume_reading()
    return {"charge_point": session.id, "reading": True}


@word("stop-listening [keep=yes]", "refuse new connections and cut the present ones (keep=yes: keep them)")
async def _stop_listening(csms: Csms, args: Arguments) -> Any:
    keep = args.option("keep")
    args.done()
    if keep not in (None, "yes", "no"):
        raise WordError(f"stop-listening: keep {keep!r} must be yes or no")
    await csms.stop_listening(keep_connections=keep == "yes")
    return {"listening": False}


@word("listen", "take connections again, on the same port")
async def _listen(csms: Csms, args: Arguments) -> Any:
    args.done()
    await csms.listen()
    return {"listening": True, "url": csms.url}


@word("handshake RULE", "refuse new connections with this HTTP status (400-599), or `ok` to take them")
def _handshake(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    args.done()
    if rule == "ok":
        csms.handshake_status = None
    else:
        status = args.whole("RULE", rule, low=400)
        if status is None or not csms.is_http_error(status):
            raise WordError(f"handshake: {rule!r} must be ok or a registered HTTP status from 400 to 599")
        csms.handshake_status = status
    return {"status": csms.handshake_status}


@word("subprotocol RULE", "agree to a version (on), or open connections without any sub-protocol (off)")
def _subprotocol(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    args.done()
    if rule not in ("on", "off"):
        raise WordError(f"subprotocol: {rule!r} must be on or off")
    csms.agree_subprotocol = rule == "on"
    return {"agree": csms.agree_subprotocol}


@word("password ID [KEY]", "from now on this charge point needs this password (none: it is refused); all need one")
def _password(csms: Csms, args: Arguments) -> Any:
    charge_point, key = args.take("ID"), args.maybe()
    args.done()
    csms.access.required = True
    csms.access.passwords.pop(charge_point, None)
    if key is not None:
        csms.access.passwords[charge_point] = key.encode()
    return {"charge_point": charge_point, "password": key is not None}


@word("restart [WHAT]", "cut all connections; with `forget`, open transactionIds are lost too")
async def _restart(csms: Csms, args: Arguments) -> Any:
    what = args.maybe()
    args.done()
    if what not in (None, "forget"):
        raise WordError(f"restart: {what!r} must be forget, or left out")
    await csms.restart(forget=what == "forget")
    return {"restarted": True, "forgot": what == "forget"}


@word("call-timeout SECONDS", "after this time a charge point may take its CALL as timed out and send the next")
def _call_timeout(csms: Csms, args: Arguments) -> Any:
    seconds = args.number("SECONDS", args.take("SECONDS"), 0.0)
    args.done()
    csms.set_call_timeout(seconds)
    return {"call_timeout_s": seconds}


@word(
    "wait-for ACTION [FIELD=VALUE] [count=N] [timeout=SECONDS] [cp=ID] [after=FRAME]",
    "wait until N such messages have come (after=now: from now on); FIELD=VALUE filters on the payload",
)
async def _wait_for(csms: Csms, args: Arguments) -> Any:
    action = args.take("ACTION")
    count = args.whole("count", args.option("count")) or 1
    timeout = args.number("timeout", args.option("timeout"), 10.0)
    charge_point, after_text = args.option("cp"), args.option("after")
    if after_text == "now":
        after = csms.frames[-1].number if csms.frames else 0
    else:
        after = args.whole("after", after_text, low=0) or 0
    wanted = dict(args.options)
    args.options.clear()
    args.done()
    calls = await csms.wait_for(
        action,
        lambda payload: all(_as_text(_at(payload, key)) == value for key, value in wanted.items()),
        count=count,
        after=after,
        charge_point=charge_point,
        timeout_s=timeout,
    )
    return [call.as_json() for call in calls]


@word("wait-connected [CP] [timeout=SECONDS]", "wait until a charge point is connected")
async def _wait_connected(csms: Csms, args: Arguments) -> Any:
    charge_point = args.maybe()
    timeout = args.number("timeout", args.option("timeout"), 10.0)
    args.done()
    return {"charge_point": await csms.wait_connected(charge_point, timeout_s=timeout)}


@word("wait-disconnected [CP] [timeout=SECONDS]", "wait until a charge point (or all) is gone")
async def _wait_disconnected(csms: Csms, args: Arguments) -> Any:
    charge_point = args.maybe()
    timeout = args.number("timeout", args.option("timeout"), 10.0)
    args.done()
    await csms.wait_disconnected(charge_point, timeout_s=timeout)
    return {"charge_point": charge_point, "connected": False}


@word("ledger", "print the books: transactions, totals, anomalies, charge points")
def _ledger(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.ledger()


@word("frames [after=FRAME] [last=N]", "print logged frames")
def _frames(csms: Csms, args: Arguments) -> Any:
    after = args.whole("after", args.option("after"), low=0) or 0
    last = args.whole("last", args.option("last"))
    args.done()
    frames = [frame.as_json() for frame in csms.frames if frame.number > after]
    return frames if last is None else frames[-last:]


@word("state", "print the address, what is connected and the rules in force")
def _state(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.state()


@word("stop", "end the CSMS")
def _stop(csms: Csms, args: Arguments) -> Any:
    args.done()
    csms.stopped.set()
    return {"stopping": True}


@word("help", "print all words")
def _help(csms: Csms, args: Arguments) -> Any:
    del csms
    args.done()
    return {word.usage: word.help for word in WORDS.values()}


def _at(payload: Any, path: str) -> Any:
    for part in path.split("."):
        payload = payload.get(part) if isinstance(payload, dict) else None
    return payload


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
