"""What may be asked of a running lab. A request is a JSON object with ``command`` and its arguments."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from simulators.lab.evse import SimEvse
from simulators.lab.faults import Fault, faults_of
from simulators.lab.hardware import Hardware
from simulators.vehicle.cars import CARS, GENERIC, Car
from simulators.vehicle.characters import CHARACTERS, NORMAL, Character
from simulators.vehicle.vehicle import Vehicle, Wish

CABLE_RATINGS = (13, 20, 32, 63)
DEFAULT_HOLD_S = 0.6
MAX_REGISTER_WH = 16_384_000
"""Beyond it a float32 in kWh no longer tells single watt-hours apart."""

Request = Mapping[str, Any]


class CommandError(ValueError):
    """The request cannot be met. The text names the thing, the rule and the remedy."""


def perform(hardware: Hardware, request: Request) -> Any:
    """Do what is asked and return its result as JSON-ready data. Raises CommandError."""
    command = request.get("command")
    handler = _COMMANDS.get(command) if isinstance(command, str) else None
    if handler is None:
        raise CommandError(f"unknown command {command!r}; known are {', '.join(sorted(_COMMANDS))}")
    result = handler(hardware, request)
    hardware.wake()
    return result


def find_vehicle(name: str) -> tuple[Car, Character]:
    """A car, a character, or ``car+character``. Raises CommandError."""
    car, character = GENERIC, NORMAL
    for part in name.split("+"):
        if part in CARS:
            car = CARS[part]
        elif part in CHARACTERS:
            character = CHARACTERS[part]
        else:
            raise CommandError(
                f"vehicle: {part!r} is neither a car nor a character; 'evse-sim ctl vehicles' lists them"
            )
    return car, character


def _evse(hardware: Hardware, request: Request) -> SimEvse:
    number = request.get("evse")
    if isinstance(number, bool) or not isinstance(number, int) or number not in hardware.evses:
        raise CommandError(f"evse: there is no EVSE {number!r}; this lab has 1 … {len(hardware.evses)}")
    return hardware.evses[number]


def _vehicle_at(evse: SimEvse) -> Vehicle:
    if evse.vehicle is None:
        raise CommandError(f"evse {evse.number}: no vehicle is plugged in; plug one first")
    return evse.vehicle


def _text(request: Request, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise CommandError(f"{key}: a word is needed, not {value!r}")
    return value


def _number(request: Request, key: str, low: float, high: float) -> float:
    value = request.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise CommandError(f"{key}: a number is needed, not {value!r}")
    if not low <= value <= high:
        raise CommandError(f"{key}: {value:g} is outside {low:g} … {high:g}")
    return float(value)


def _switch(request: Request) -> bool:
    value = request.get("on")
    if not isinstance(value, bool):
        raise CommandError(f"on: true or false is needed, not {value!r}")
    return value


def _plug(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    if evse.vehicle is not None:
        raise CommandError(f"evse {evse.number}: a vehicle is plugged in already; unplug it first")
    car, character = find_vehicle(str(request.get("vehicle") or "normal"))
    cable_a = request.get("cable", 32)
    if cable_a not in CABLE_RATINGS:
        raise CommandError(f"cable: {cable_a!r} is no rating; use one of {', '.join(map(str, CABLE_RATINGS))}")
    battery_pct = _number(request, "battery", 0, 100) if request.get("battery") is not None else 20.0
    evse.plug(Vehicle(car, character, battery_pct / 100), int(cable_a))
    evse.log.add("plugged", car=car.name, character=character.name, cable_a=cable_a)
    return evse.state()


def _unplug(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    _vehicle_at(evse)
    evse.step(time.monotonic())
    evse.unplug()
    evse.log.add("unplugged")
    return evse.state()


def _vehicle(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    vehicle = _vehicle_at(evse)
    action = _text(request, "action")
    if action in ("ready", "resume"):
        vehicle.wish = Wish.CHARGE
    elif action == "pause":
        vehicle.wish = Wish.PAUSE
    elif action == "not-ready":
        vehicle.wish = Wish.NOT_READY
    elif action == "current":
        vehicle.current_cap_a = _number(request, "value", 0, 200)
    elif action == "phases":
        vehicle.phases_cap = int(_number(request, "value", 1, 3))
    elif action == "battery":
        vehicle.battery.stored_wh = vehicle.battery.capacity_wh * _number(request, "value", 0, 100) / 100
    elif action == "character":
        name = _text(request, "value")
        if name not in CHARACTERS:
            raise CommandError(f"character: {name!r} is none of {', '.join(CHARACTERS)}")
        vehicle.become(CHARACTERS[name])
    else:
        known = "ready, not-ready, pause, resume, current, phases, battery, character"
        raise CommandError(f"action: {action!r} is none of {known}")
    evse.log.add("vehicle", action=action, value=request.get("value"))
    return evse.state()


def _tap(hardware: Hardware, request: Request) -> Any:
    token = _text(request, "token")
    number = _evse(hardware, request).number if request.get("evse") is not None else 0
    post = hardware.reader_for(number)
    if post is None:
        raise CommandError("tap: this lab has no reader; start it with --reader KIND")
    sizes = post.kind.uid_bytes
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", token) or len(token) // 2 not in sizes:
        digits = " or ".join(str(2 * size) for size in sizes)
        raise CommandError(f"token: {token!r} is no card of a {post.kind.name}; give {digits} hex digits")
    hold_s = _number(request, "hold", 0.05, 3600) if request.get("hold") is not None else DEFAULT_HOLD_S
    if not hardware.powered:
        raise CommandError("tap: the reader has no power; 'power on' first")
    hardware.tap(post, bytes.fromhex(token), hold_s)
    return {"reader": post.name, "token": token.upper(), "hold_s": hold_s}


def _fault(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    name, on = _text(request, "name"), _switch(request)
    known = faults_of(hardware, evse)
    fault = known.get(name)
    if fault is None:
        raise CommandError(f"fault: {name!r} is unknown at EVSE {evse.number}; it knows {', '.join(sorted(known))}")
    now = time.monotonic()
    evse.step(now)
    fault.switch(on, now)
    if on and not fault.once:
        evse.faults.add(name)
    else:
        evse.faults.discard(name)
    evse.log.add("fault", name=name, on=on)
    return evse.state()


def _meter(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    core, action = evse.core, _text(request, "action")
    evse.step(time.monotonic())
    if action == "set-energy":
        core.set_energy(int(_number(request, "value", 0, MAX_REGISTER_WH)))
    elif action in ("freeze", "unfreeze"):
        core.freeze(action == "freeze")
    elif action in ("fail", "recover"):
        _needs_wire(evse, action)
        core.silent = action == "fail"
    elif action == "noise":
        _needs_wire(evse, action)
        share = _number(request, "value", 0, 1)
        for port in evse.meter.ports():
            port.noise = share
    else:
        raise CommandError(f"action: {action!r} is none of set-energy, freeze, unfreeze, fail, recover, noise")
    evse.meter_log.add("meter", action=action, value=request.get("value"), register_wh=core.register_wh)
    return evse.state()


def _needs_wire(evse: SimEvse, action: str) -> None:
    if not evse.meter.ports():
        kind = evse.place.meter_choice.kind
        raise CommandError(f"meter: EVSE {evse.number} has no meter with a wire ({kind}), so it cannot {action}")


def _power(hardware: Hardware, request: Request) -> Any:
    hardware.power(_switch(request))
    return {"powered": hardware.powered}


def _log(hardware: Hardware, request: Request) -> Any:
    evse = _evse(hardware, request)
    since_s = _number(request, "since", 0, math.inf) if request.get("since") is not None else 0.0
    source = request.get("source", "board")
    if source not in ("board", "meter"):
        raise CommandError(f"source: {source!r} is neither board nor meter")
    return (evse.log if source == "board" else evse.meter_log).since(since_s)


def _fault_list(hardware: Hardware, request: Request) -> Any:
    """What can be broken at one EVSE, or at any; ``evses`` tells where."""
    asked = [_evse(hardware, request)] if request.get("evse") is not None else list(hardware.evses.values())
    found: dict[str, tuple[Fault, list[int]]] = {}
    for evse in asked:
        for name, fault in faults_of(hardware, evse).items():
            found.setdefault(name, (fault, []))[1].append(evse.number)
    return [
        {"name": name, "summary": fault.summary, "once": fault.once, "evses": numbers}
        for name, (fault, numbers) in found.items()
    ]


def _vehicles(_: Hardware, __: Request) -> Any:
    return {
        "cars": [
            {
                "name": car.name,
                "model": car.model,
                "phases": car.phases,
                "ac_power_w": car.ac_power_w,
                "battery_wh": car.battery_wh,
            }
            for car in CARS.values()
        ],
        "characters": [{"name": known.name, "summary": known.summary} for known in CHARACTERS.values()],
    }


def _state(hardware: Hardware, _: Request) -> Any:
    return hardware.state()


_COMMANDS: Mapping[str, Callable[[Hardware, Request], Any]] = {
    "plug": _plug,
    "unplug": _unplug,
    "vehicle": _vehicle,
    "tap": _tap,
    "fault": _fault,
    "fault-list": _fault_list,
    "meter": _meter,
    "power": _power,
    "state": _state,
    "log": _log,
    "vehicles": _vehicles,
}
