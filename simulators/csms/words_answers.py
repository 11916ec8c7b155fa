"""Words that decide what the CSMS answers: boot, tokens, clock, delays and wrong answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .behaviour import ANY_ACTION, AnswerRule, Mode
from .station import BootPolicy
from .tokens import Token, TokenStatus
from .vocabulary import Arguments, WordError, word

if TYPE_CHECKING:
    from .server import Csms

BOOT_STATUSES = {"accepted": "Accepted", "pending": "Pending", "rejected": "Rejected"}


@word("boot STATUS [interval=SECONDS]", "answer BootNotification with accepted, pending or rejected")
def _boot(csms: Csms, args: Arguments) -> Any:
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
    token = Token(tag, status, args.option("parent"), args.option("expiry"), args.option("message"))
    args.done()
    csms.tokens.put(token)
    return csms.tokens.as_json()


@word("accept TAG [parent=TAG] [expiry=TIME] [message=TEXT]", "know this token and accept it")
def _accept(csms: Csms, args: Arguments) -> Any:
    return _put_token(csms, args, TokenStatus.ACCEPTED)


@word(
    "refuse TAG [status=STATUS] [parent=TAG] [expiry=TIME] [message=TEXT]",
    "know this token and refuse it (status: Blocked)",
)
def _refuse(csms: Csms, args: Arguments) -> Any:
    return _put_token(csms, args, TokenStatus.BLOCKED)


@word("forget TAG", "take this token off the list")
def _forget(csms: Csms, args: Arguments) -> Any:
    tag = args.take("TAG")
    args.done()
    csms.tokens.remove(tag)
    return csms.tokens.as_json()


@word("unknown RULE", "accept or refuse tokens that are not on the list")
def _unknown(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    if rule not in ("accept", "refuse"):
        raise WordError(f"unknown: {rule!r} must be accept or refuse")
    args.done()
    csms.tokens.accept_unknown = rule == "accept"
    return csms.tokens.as_json()


@word("tokens", "show the token list")
def _tokens(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.tokens.as_json()


@word("delay ACTION SECONDS [COUNT]", "answer this action so much later (0: at once again)")
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


@word("drop ACTION [COUNT]", "book this action but do not answer: the answer was lost")
def _drop(csms: Csms, args: Arguments) -> Any:
    return _mode_word(csms, args, Mode.DROP)


@word("ignore ACTION [COUNT]", "neither book nor answer this action: the request was lost")
def _ignore(csms: Csms, args: Arguments) -> Any:
    return _mode_word(csms, args, Mode.IGNORE)


@word("error ACTION CODE [COUNT]", "answer this action with a CALLERROR; any CODE, known or not")
def _error(csms: Csms, args: Arguments) -> Any:
    action, code = args.take("ACTION"), args.take("CODE")
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.add(action, AnswerRule(Mode.ERROR, count, error_code=code))
    return csms.behaviour.as_json()


PLAIN_MODES = (Mode.WRONG_TYPE, Mode.WRONG_MESSAGE_TYPE, Mode.WRONG_ID, Mode.TWICE, Mode.MALFORMED)


@word(
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


@word("payload ACTION JSON [COUNT]", "answer this action with exactly this payload")
def _payload(csms: Csms, args: Arguments) -> Any:
    action, payload = args.take("ACTION"), args.json(args.take("JSON"))
    count = args.whole("COUNT", args.maybe())
    args.done()
    csms.behaviour.add(action, AnswerRule(Mode.PAYLOAD, count, payload=payload))
    return csms.behaviour.as_json()


@word("normal [ACTION]", "end delays and wrong answers, of one action or of all")
def _normal(csms: Csms, args: Arguments) -> Any:
    action = args.maybe()
    args.done()
    csms.behaviour.clear(action)
    if action is None:
        csms.extras.clear()
    else:
        csms.extras.pop(action, None)
    return csms.behaviour.as_json()


@word("behaviour", f"show the rules in force; the action {ANY_ACTION} stands for any")
def _behaviour(csms: Csms, args: Arguments) -> Any:
    args.done()
    return csms.behaviour.as_json()


@word("clock SECONDS", "let currentTime run so many seconds ahead (negative: behind)")
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


@word("vendor ID", "accept DataTransfer of this vendorId (others: UnknownVendorId)")
def _vendor(csms: Csms, args: Arguments) -> Any:
    vendor = args.take("ID")
    args.done()
    csms.data_transfer_vendors.add(vendor)
    return sorted(csms.data_transfer_vendors)
