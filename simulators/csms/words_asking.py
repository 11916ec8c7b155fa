"""Words for what is asked of a charge point most often, in whatever version it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import asking
from .dialect import read_versions
from .vocabulary import Arguments, WordError, word

if TYPE_CHECKING:
    from .charge_point import Session
    from .server import Csms

REPORT_BASES = ("ConfigurationInventory", "FullInventory", "SummaryInventory")


def _session(csms: Csms, args: Arguments) -> Session:
    return csms.session(args.option("cp"))


async def _ask(session: Session, request: asking.Request) -> Any:
    action, payload = request
    return await session.call_raw(action, payload)


@word("remote-start TAG [evse=N] [id=N] [profile=JSON] [cp=ID]", "start a charge from afar, with this token")
async def _remote_start(csms: Csms, args: Arguments) -> Any:
    tag, session = args.take("TAG"), _session(csms, args)
    evse, number = args.whole("evse", args.option("evse")), args.whole("id", args.option("id"), low=0)
    profile = args.option("profile")
    content = None if profile is None else args.json(profile)
    args.done()
    number = csms.take_number() if number is None else number
    return await _ask(session, asking.start(session.dialect, tag, evse, number, content))


@word("remote-stop [TRANSACTION] [cp=ID]", "stop a charge from afar (without its id: the newest that is open)")
async def _remote_stop(csms: Csms, args: Arguments) -> Any:
    named, session = args.maybe(), _session(csms, args)
    args.done()
    transaction: int | str | None = named
    if named is None:
        running = [t for t in csms.books.transactions if t.charge_point == session.id and t.open]
        transaction = running[-1].id_for(session.dialect.subprotocol) if running else None
        if transaction is None:
            raise WordError(
                f"remote-stop: {session.id} has no open transaction that OCPP {session.dialect.version} named"
            )
    elif not session.dialect.is_2:
        transaction = args.whole("TRANSACTION", named, low=-(2**31))
    assert transaction is not None  # one of the three ways gave it
    return await _ask(session, asking.stop(session.dialect, transaction))


@word(
    "get-variable NAME [evse=N] [connector=N] [attribute=TYPE] [cp=ID]",
    "read Component[instance].Variable[instance], or a configuration key of 1.6",
)
async def _get_variable(csms: Csms, args: Arguments) -> Any:
    name, session = args.take("NAME"), _session(csms, args)
    place = _place(args)
    args.done()
    return await _ask(session, asking.get(session.dialect, name, *place))


@word(
    "set-variable NAME VALUE [evse=N] [connector=N] [attribute=TYPE] [cp=ID]",
    "write Component[instance].Variable[instance], or a configuration key of 1.6",
)
async def _set_variable(csms: Csms, args: Arguments) -> Any:
    name, value, session = args.take("NAME"), args.take("VALUE"), _session(csms, args)
    place = _place(args)
    args.done()
    return await _ask(session, asking.put(session.dialect, name, value, *place))


def _place(args: Arguments) -> tuple[int | None, int | None, str | None]:
    return (
        args.whole("evse", args.option("evse")),
        args.whole("connector", args.option("connector")),
        args.option("attribute"),
    )


@word(
    "report [BASE] [timeout=SECONDS] [cp=ID]",
    "ask for a base report (FullInventory), wait for all of its parts and print them",
)
async def _report(csms: Csms, args: Arguments) -> Any:
    base, session = args.maybe() or "FullInventory", _session(csms, args)
    timeout_s = args.number("timeout", args.option("timeout"), 30.0)
    args.done()
    if base not in REPORT_BASES:
        raise WordError(f"report: {base!r} must be one of {', '.join(REPORT_BASES)}")
    number = csms.take_number()
    answer = await session.call_raw("GetBaseReport", {"requestId": number, "reportBase": base})
    if answer.get("status") != "Accepted":
        return answer
    return (await csms.wait_report(number, charge_point=session.id, timeout_s=timeout_s)).as_json()


@word("profile EVSE JSON [cp=ID]", "set this charging profile at an EVSE (0: the station)")
async def _profile(csms: Csms, args: Arguments) -> Any:
    evse, content = args.whole("EVSE", args.take("EVSE"), low=0), args.json(args.take("JSON"))
    session = _session(csms, args)
    args.done()
    return await _ask(session, asking.profile(session.dialect, evse or 0, content))


@word("limit AMPERES [evse=N] [id=N] [cp=ID]", "a charging profile with one limit, of the station or of one EVSE")
async def _limit(csms: Csms, args: Arguments) -> Any:
    amperes, session = args.number("AMPERES", args.take("AMPERES"), 0.0), _session(csms, args)
    evse = args.whole("evse", args.option("evse"), low=0) or 0
    number = args.whole("id", args.option("id"), low=0)
    args.done()
    number = csms.take_number() if number is None else number
    return await _ask(session, asking.limit(session.dialect, amperes, evse, number, csms.now_text()))


@word("clear-profiles [id=N] [cp=ID]", "clear one charging profile, or all")
async def _clear_profiles(csms: Csms, args: Arguments) -> Any:
    number, session = args.whole("id", args.option("id"), low=0), _session(csms, args)
    args.done()
    return await _ask(session, asking.clear_profiles(session.dialect, number))


@word(
    "network-profile SLOT URL [version=SUBPROTOCOL] [security=N] [interface=WORD] [message-timeout=SECONDS] [cp=ID]",
    "write a network connection profile (2.x); OCPPCommCtrlr.NetworkConfigurationPriority puts it to use",
)
async def _network_profile(csms: Csms, args: Arguments) -> Any:
    slot, url, session = args.whole("SLOT", args.take("SLOT"), low=0), args.take("URL"), _session(csms, args)
    version = args.option("version") or str(session.dialect.subprotocol)
    security = args.whole("security", args.option("security"), low=0)
    interface = args.option("interface") or "Wired0"
    timeout_s = args.whole("message-timeout", args.option("message-timeout"))
    args.done()
    request = asking.network_profile(
        session.dialect, slot or 0, url, version, 1 if security is None else security, interface, timeout_s or 30
    )
    return await _ask(session, request)


@word("collected [cp=ID]", "print reports, events and event streams of a charge point of 2.x, put together")
def _collected(csms: Csms, args: Arguments) -> Any:
    charge_point = args.option("cp")
    args.done()
    station = csms.stations.get(charge_point) if charge_point is not None else csms.session().station
    if station is None:
        raise WordError(f"collected: nothing was ever heard of {charge_point!r}")
    return station.collected.as_json()


@word("versions LIST", "speak these sub-protocols from the next connection on, most wanted first: ocpp2.1,ocpp1.6")
def _versions(csms: Csms, args: Arguments) -> Any:
    text = args.take("LIST")
    args.done()
    csms.versions = read_versions(text)
    return {"versions": list(csms.versions)}


@word("also ACTION JSON", "add these fields to each answer of this action ({}: none any more)")
def _also(csms: Csms, args: Arguments) -> Any:
    action, fields = args.take("ACTION"), args.json(args.take("JSON"))
    args.done()
    if not isinstance(fields, dict):
        raise WordError(f"also: the fields must be a JSON object, not {fields!r}")
    csms.extras.pop(action, None)
    if fields:
        csms.extras[action] = fields
    return {"extras": csms.extras}


@word("ca RULE", "sign what charge points want signed, with a root of its own (on), or leave them waiting (off)")
def _ca(csms: Csms, args: Arguments) -> Any:
    rule = args.take("RULE")
    args.done()
    if rule not in ("on", "off"):
        raise WordError(f"ca: {rule!r} must be on or off")
    return {"root": csms.sign_certificates(wanted=rule == "on")}
