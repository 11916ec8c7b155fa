"""The control words: text in, JSON out. The same words serve the control socket and ``evse-sim csms-ctl``.

A word takes plain arguments and ``key=value`` options in any order. ``docs/simulators-csms.md`` is their manual.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .behaviour import ANY_ACTION, AnswerRule, Mode
from .tokens import Token, TokenStatus

if TYPE_CHECKING:
    from .server import Csms

BOOT_STATUSES = {"accepted": "Accepted", "pending": "Pending", "rejected": "Rejected"}

Run = Callable[["Csms", "Arguments"], Any | Awaitable[Any]]


class WordError(Exception):
    """A word or its arguments are wrong; the text says which and what is right."""


@dataclass(slots=True)
class Arguments:
    """The arguments of one word; every one must be taken."""

    word: str
    plain: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def take(self, name: str) -> str:
        """The next plain argument. Raises ``WordError`` when there is none."""
        if not self.plain:
            raise WordError(f"{self.word}: {name} is missing; usage: {WORDS[self.word].usage}")
        return self.plain.pop(0)

    def maybe(self) -> str | None:
        """The next plain argument, if any."""
        return self.plain.pop(0) if self.plain else None

    def option(self, name: str) -> str | None:
        """An option's text, if given."""
        return self.options.pop(name, None)

    def number(self, name: str, text: str | None, default: float, low: float = 0.0) -> float:
        """A finite number not below ``low``."""
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= low):
            raise WordError(f"{self.word}: {name} {text!r} must be a number, {low:g} or more")
        return value

    def whole(self, name: str, text: str | None, low: int = 1) -> int | None:
        """A whole number not below ``low``, or ``None`` when not given."""
        if text is None:
            return None
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise WordError(f"{self.word}: {name} {text!r} must be a whole number, {low} or more")
        return value

    def done(self) -> None:
        """Raises ``WordError`` when something was left over."""
        left = self.plain + [f"{key}=" for key in self.options]
        if left:
            raise WordError(f"{self.word}: {left[0]!r} is too much; usage: {WORDS[self.word].usage}")


@dataclass(frozen=True, slots=True)
class Word:
    """One control word."""

    usage: str
    help: str
    run: Run
    options: frozenset[str] = frozenset()


WORDS: dict[str, Word] = {}


def _word(usage: str, text: str) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        name, *rest = usage.split()
        options = frozenset(
            part.strip("[]").partition("=")[0] for part in rest if "=" in part and part != "[FIELD=VALUE]"
        )
        WORDS[name] = Word(usage, text, run, options)
        return run

    return register


async def run_word(csms: Csms, word: str, args: list[str]) -> Any:
    """Run one word and return its JSON-ready result. Raises ``WordError`` and what the control itself raises."""
    entry = WORDS.get(word)
    if entry is None:
        raise WordError(f"{word!r} is not a word of the CSMS; the words are: {', '.join(sorted(WORDS))}")
    arguments = Arguments(word)
    for text in args:
        key, equals, value = text.partition("=")
        # wait-for filters on any field; elsewhere a text that merely holds "=" stays a plain argument.
        if equals and (key in entry.options or (word == "wait-for" and key.isidentifier())):
            if key in arguments.options:
                raise WordError(f"{word}: {key}= is given twice")
            arguments.options[key] = value
        else:
            arguments.plain.append(text)
    result = entry.run(csms, arguments)
    if inspect.isawaitable(result):
        result = await result
    return result


@_word("boot STATUS [interval=SECONDS]", "answer BootNotification with accepted, pending or rejected")
def _boot(csms: Csms, args: Arguments) -> Any:
    from .server import BootPolicy

    text = args.take("STATUS")
    status = BOOT_STATUSES.get(text.lower())
    if status is None:
        raise WordError(f"boot: {text!r} must be accepted, pending or rejected")
    interval = args.whole("interval", args.option("interval"), low=0)
    args.done()
    csms.boot = BootPolicy(status, csms.boot.interval_s if interval is None else interval)
    return {"status": csms.boot.status, "interval_s": csms.boot.interval_s}


def _put_token(csms: Csms, args: Arguments, default: TokenStatus) -> Any:
    tag = args.take("TAG")
    status_text = args.option("status")
    try:
        status = default if status_text is None else TokenStatus(status_text)
    except ValueError:
        raise WordError(f"{args.word}: status {status_text!r} must be one of {', '.join(TokenStatus)}") from None
    token = Token(tag, status, args.option("parent"), args.option("expiry"))
    args.done()
    csms.tokens.put(token)
    return csms.tokens.as_json()


@_word("accept TAG [parent=TAG] [expiry=TIME]", "know this token and accept it")
def _accept(csms: Csms, args: Arguments) -> Any:
    return _put_token(csms, args, TokenStatus.ACCEPTED)


@_word("refuse TAG [status=STATUS] [parent=TAG] [expiry=TIME]", "know this token and refuse it (status: Blocked)")
def _refuse(csms: Csms, args: Arguments) -> Any:
    return _put_token(csms, args, TokenStatus.BLOCKED)


@_word("forget TAG", "take this token off the list")
def _forget(csms: Csms, args: Arguments) -> Any:
    tag = args.take("TAG")
    args.done()
    csms.tokens.remove(tag)
    return csms.tokens.as_json()


@_word("unknown RULE", "accept or refuse tokens that are not on the list")
def _unknown(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    if rule not in ("accept", "refuse"):
        raise WordError(f"unknown: {rule!r} must be accept or refuse")
    args.done()
    csms.tokens.accept_unknown = rule == "accept"
    return csms.tokens.as_json()


@_word("tokens", "show the token list")
def _tokens(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.tokens.as_json()


@_word("delay ACTION SECONDS [COUNT]", "answer this action so much later (0: at once again)")
def _delay(csms: Csms, args: Arguments) -> Any:
    action = args.take("ACTION")
    seconds = args.number("SECONDS", args.take("SECONDS"), 0.0)
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.delay(action, seconds, count)
    return csms.behaviour.as_json()


def _mode_word(csms: Csms, args: Arguments, mode: Mode) -> Any:
    action = args.take("ACTION")
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.add(action, AnswerRule(mode, count))
    return csms.behaviour.as_json()


@_word("drop ACTION [COUNT]", "book this action but do not answer: the answer was lost")
def _drop(csms: Csms, args: Arguments) -> Any:
    return _mode_word(csms, args, Mode.DROP)


@_word("ignore ACTION [COUNT]", "neither book nor answer this action: the request was lost")
def _ignore(csms: Csms, args: Arguments) -> Any:
    return _mode_word(csms, args, Mode.IGNORE)


@_word("error ACTION CODE [COUNT]", "answer this action with a CALLERROR; any CODE, known or not")
def _error(csms: Csms, args: Arguments) -> Any:
    action, code = args.take("ACTION"), args.take("CODE")
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.add(action, AnswerRule(Mode.ERROR, count, error_code=code))
    return csms.behaviour.as_json()


PLAIN_MODES = (Mode.WRONG_TYPE, Mode.WRONG_MESSAGE_TYPE, Mode.WRONG_ID, Mode.TWICE, Mode.MALFORMED)


@_word(
    "answer ACTION HOW [COUNT]",
    "answer this action wrong-type, wrong-message-type, wrong-id, twice or malformed",
)
def _answer(csms: Csms, args: Arguments) -> Any:
    action, how = args.take("ACTION"), args.take("HOW")
    count = args.whole("COUNT", args.maybe())
    args.done()
    if how not in PLAIN_MODES:
        raise WordError(f"answer: {how!r} must be one of {', '.join(PLAIN_MODES)}")
    csms.behaviour.add(action, AnswerRule(Mode(how), count))
    return csms.behaviour.as_json()


@_word("payload ACTION JSON [COUNT]", "answer this action with exactly this payload")
def _payload(csms: Csms, args: Arguments) -> Any:
    action, payload = args.take("ACTION"), _json(args, args.take("JSON"))
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.add(action, AnswerRule(Mode.PAYLOAD, count, payload=payload))
    return csms.behaviour.as_json()


@_word("normal [ACTION]", "end delays and wrong answers, of one action or of all")
def _normal(csms: Csms, args: Arguments) -> Any:
    action = args.maybe()
    args.done()
    csms.behaviour.clear(action)
    return csms.behaviour.as_json()


@_word("behaviour", f"show the rules in force; the action {ANY_ACTION} stands for any")
def _behaviour(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.behaviour.as_json()


@_word("clock SECONDS", "let currentTime run so many seconds ahead (negative: behind)")
def _clock(csms: Csms, args: Arguments) -> Any:
    offset = args.number("SECONDS", args.take("SECONDS"), 0.0, low=-10e9)
    args.done()
    before = csms.clock_offset_s
    csms.clock_offset_s = offset
    try:
        return {"offset_s": offset, "current_time": csms.now_text()}
    except (OverflowError, ValueError):
        csms.clock_offset_s = before
        raise WordError(f"clock: {offset:g} s from now is no date OCPP can write") from None


@_word("vendor ID", "accept DataTransfer of this vendorId (others: UnknownVendorId)")
def _vendor(csms: Csms, args: Arguments) -> Any:
    vendor = args.take("ID")
    args.done()
    csms.data_transfer_vendors.add(vendor)
    return sorted(csms.data_transfer_vendors)


@_word("call ACTION [JSON] [cp=ID] [timeout=SECONDS]", "send a command and print the answer")
async def _call(csms: Csms, args: Arguments) -> Any:
    action = args.take("ACTION")
    text = args.maybe()
    payload = {} if text is None else _json(args, text)
    charge_point, timeout = args.option("cp"), args.number("timeout", args.option("timeout"), 30.0)
    args.done()
    if not isinstance(payload, dict):
        raise WordError(f"call: the payload must be a JSON object, not {text!r}")
    return await csms.call(charge_point, action, payload, timeout)


@_word("send TEXT [cp=ID]", "send any text as one frame")
async def _send(csms: Csms, args: Arguments) -> Any:
    text = args.take("TEXT")
    charge_point = args.option("cp")
    args.done()
    await csms.send_text(text, charge_point)
    return {"sent": text}


@_word("close [CODE] [REASON] [cp=ID]", "close the connection with a code; 1006 cuts it with no closing frame")
async def _close(csms: Csms, args: Arguments) -> Any:
    code = args.whole("CODE", args.maybe(), low=1000) or 1000
    reason = args.maybe() or ""
    session = csms.session(args.option("cp"))
    args.done()
    if not (code in (1000, 1001, 1002, 1003, 1006, *range(1007, 1015)) or 3000 <= code < 5000):
        raise WordError(f"close: {code} may not be sent; allowed are 1000-1003, 1006-1014 and 3000-4999")
    await session.close(code, reason)
    return {"closed": session.id, "code": code}


@_word("stop-reading [cp=ID]", "take nothing more from this connection, yet keep it open: a half-open link")
def _stop_reading(csms: Csms, args: Arguments) -> Any:
    session = csms.session(args.option("cp"))
    args.done()
    session.stop_reading()
    return {"charge_point": session.id, "reading": False}


@_word("resume-reading [cp=ID]", "read again, from where it stopped")
def _resume_reading(csms: Csms, args: Arguments) -> Any:
    session = csms.session(args.option("cp"))
    args.done()
    session.resume_reading()
    return {"charge_point": session.id, "reading": True}


@_word("stop-listening [keep=yes]", "refuse new connections and cut the present ones (keep=yes: keep them)")
async def _stop_listening(csms: Csms, args: Arguments) -> Any:
    keep = args.option("keep")
    args.done()
    if keep not in (None, "yes", "no"):
        raise WordError(f"stop-listening: keep {keep!r} must be yes or no")
    await csms.stop_listening(keep_connections=keep == "yes")
    return {"listening": False}


@_word("listen", "take connections again, on the same port")
async def _listen(csms: Csms, args: Arguments) -> Any:
    args.done()
    await csms.listen()
    return {"listening": True, "url": csms.url}


@_word("handshake RULE", "refuse new connections with this HTTP status (400-599), or `ok` to take them")
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


@_word("subprotocol RULE", "agree to ocpp1.6 (on), or open connections without any sub-protocol (off)")
def _subprotocol(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    args.done()
    if rule not in ("on", "off"):
        raise WordError(f"subprotocol: {rule!r} must be on or off")
    csms.agree_subprotocol = rule == "on"
    return {"agree": csms.agree_subprotocol}


@_word("restart [WHAT]", "cut all connections; with `forget`, open transactionIds are lost too")
async def _restart(csms: Csms, args: Arguments) -> Any:
    what = args.maybe()
    args.done()
    if what not in (None, "forget"):
        raise WordError(f"restart: {what!r} must be forget, or left out")
    await csms.restart(forget=what == "forget")
    return {"restarted": True, "forgot": what == "forget"}


@_word("call-timeout SECONDS", "after this time a charge point may take its CALL as timed out and send the next")
def _call_timeout(csms: Csms, args: Arguments) -> Any:
    seconds = args.number("SECONDS", args.take("SECONDS"), 0.0)
    args.done()
    csms.set_call_timeout(seconds)
    return {"call_timeout_s": seconds}


@_word(
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
        lambda payload: all(_as_text(payload.get(key)) == value for key, value in wanted.items()),
        count=count,
        after=after,
        charge_point=charge_point,
        timeout_s=timeout,
    )
    return [call.as_json() for call in calls]


@_word("wait-connected [CP] [timeout=SECONDS]", "wait until a charge point is connected")
async def _wait_connected(csms: Csms, args: Arguments) -> Any:
    charge_point = args.maybe()
    timeout = args.number("timeout", args.option("timeout"), 10.0)
    args.done()
    return {"charge_point": await csms.wait_connected(charge_point, timeout_s=timeout)}


@_word("wait-disconnected [CP] [timeout=SECONDS]", "wait until a charge point (or all) is gone")
async def _wait_disconnected(csms: Csms, args: Arguments) -> Any:
    charge_point = args.maybe()
    timeout = args.number("timeout", args.option("timeout"), 10.0)
    args.done()
    await csms.wait_disconnected(charge_point, timeout_s=timeout)
    return {"charge_point": charge_point, "connected": False}


@_word("ledger", "print the books: transactions, totals, anomalies, charge points")
def _ledger(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.ledger()


@_word("frames [after=FRAME] [last=N]", "print logged frames")
def _frames(csms: Csms, args: Arguments) -> Any:
    after = args.whole("after", args.option("after"), low=0) or 0
    last = args.whole("last", args.option("last"))
    args.done()
    frames = [frame.as_json() for frame in csms.frames if frame.number > after]
    return frames if last is None else frames[-last:]


@_word("state", "print the address, what is connected and the rules in force")
def _state(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.state()


@_word("stop", "end the CSMS")
def _stop(csms: Csms, args: Arguments) -> Any:
    args.done()
    csms.stopped.set()
    return {"stopping": True}


@_word("help", "print all words")
def _help(csms: Csms, args: Arguments) -> Any:
    del csms
    args.done()
    return {word.usage: word.help for word in WORDS.values()}


def _json(args: Arguments, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WordError(f"{args.word}: {text[:60]!r} is not JSON ({error})") from None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
