"""The conversation with an OpenEVSE controller over time: what to say when, and what came of it. No line in here.

One command is under way at a time. Only a command that takes away (stop, less current) does not wait for the reply to
the one before; sequence ids keep the replies apart. A command without a reply within ``TIMEOUT_S`` is not repeated as
such: whatever it was for is still due, and is asked again in the order of importance.

After the line was opened, a reset (``$AB``), a silence or a missed heartbeat nothing is trusted: first the controller
is told to stop, then it is asked who it is and given its heartbeat; only then may control enable it.

A controller in a fault has opened and offers nothing. It looks for the end of the fault only while it is left alone
(asleep it sees none, and would keep a residual-current trip for the next vehicle), so it is not told to stop as long
as it says so itself; when it leaves the fault, stop is the first thing it hears, before its debounce of 250 ms ends.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hal.drivers.following import Follower, Wish
from hal.drivers.openevse import status as s
from hal.drivers.openevse.options import OpenEvseOptions
from hal.drivers.openevse.rapi import MAX_SEQUENCE, LineReader, Message, encode
from hal.values import ButtonPress, Capabilities, MeterReading, Quality

TIMEOUT_S = 0.5
"""The controller's own client waits so long for a reply (hardware sheet §A.1)."""
LOST_AFTER_S = 2.0
"""So long without an answer, and nothing that was commanded counts any more. Its self-test at boot takes longer."""
LEFT_ALONE_S = 1.0
"""A fault was told no longer ago than this, or the controller is told to stop all the same."""
PAUSE_S = 0.05
"""Before a command that was refused is said again."""
STEP_S = 0.01
"""How soon to be called again while what is due waits for a reply."""
SLOW_POLL_S = 5.0
METER_POLL_S = 1.0
PULSES_PER_INTERVAL = 3
ACKNOWLEDGE_MISSED = "SY 165"
MAX_PRESSES = 8

Send = Callable[[bytes, bool], None]
"""``send(line, urgent)``"""


class OpenEvseUnit(Follower):
    """The controller as control sees it: a charge controller, its sensors, and the button on its front."""

    def __init__(self, on_wish: Callable[[float], None], on_reset: Callable[[float], None]) -> None:
        super().__init__(step_a=1.0, repeat_s=2.0, on_wish=on_wish, on_reset=on_reset)
        self._presses: deque[ButtonPress] = deque(maxlen=MAX_PRESSES)

    def take_presses(self) -> list[ButtonPress]:
        presses = list(self._presses)
        self._presses.clear()
        return presses

    def press(self, press: ButtonPress) -> None:
        self._presses.append(press)


@dataclass(frozen=True, slots=True)
class _Asked:
    command: str
    sequence: int
    at: float
    wish: Wish | None = None
    """For a command that carries out a wish."""

    @property
    def name(self) -> str:
        return self.command.partition(" ")[0]


class Controller:
    """``send`` puts a line on the wire. ``begin``, ``feed`` and ``on_timer`` are called by the device."""

    def __init__(self, options: OpenEvseOptions, send: Send) -> None:
        self.unit = OpenEvseUnit(self._on_wish, self._on_reset)
        self.lines_sent = 0
        self._options = options
        self._send = send
        self._reader = LineReader(options.checksum)
        self._open = False
        self._waiting: list[_Asked] = []
        self._sequence = 0
        self._setup: list[str] = []
        self._status: s.Status | None = None
        self._status_at = -math.inf
        self._last_asked = ""
        self._look_first = False
        """Its state decides what to say next."""
        self._heard_at = 0.0
        """When it last answered, or the conversation began. Notices do not count: it may speak and be deaf."""
        self._pause_until = 0.0
        self._answered = False
        """Since the conversation began or was lost. Until then it is told to stop, and nothing else."""
        self._lost = False
        self._refused = ""
        """Why this controller must not be enabled, with the remedy."""
        self._due: dict[str, float] = {}
        self._unsupported: set[str] = set()
        self._version = ""
        self._current: tuple[int, int] | None = None
        """Last milliampere and millivolt."""

    # Life

    def begin(self, now: float, post_code: str = "00") -> None:
        """The line is open, or the controller was reset: stop it, and get to know it anew."""
        fault = s.parse_status(post_code, "00", "0000")
        self._open = True
        self._waiting.clear()
        self._answered = self._lost = False
        self._refused = ""
        self._unsupported.clear()
        self._heard_at = now
        self._pause_until = 0.0
        self._status = fault if fault is not None and fault.faulted else None
        self._status_at = now
        self._current = None
        self._look_first = False
        self._due = {"GS": now, "GP": now, "GG": now}
        self._setup = ["GV", "GE", "GC"]
        if self._options.heartbeat_s:
            # Written to its EEPROM only where it differs. Setting it also forgets a pulse that was missed.
            self._setup += [f"SY {self._options.heartbeat_s} {self._options.fallback_current_a}", "SY"]
        self.unit.begin()
        if self._status is not None:
            self.unit.tell_errors(self._status.errors)
        self._pump(now)

    def end(self, now: float) -> None:
        """Last words before the line is closed."""
        if self._open:
            self.unit.lose()
            self._ask("FD", now, urgent=True)
        self._open = False

    def drop(self) -> None:
        """The line is gone. Readings are left to age."""
        self._open = False
        self._waiting.clear()
        self.unit.lose()

    def on_timer(self, now: float) -> float:
        """Ask what is due. Returns the next wake time."""
        if not self._open:
            return now + LOST_AFTER_S
        if any(now - asked.at >= TIMEOUT_S for asked in self._waiting):
            self._waiting.clear()  # without sequence ids a late reply would count for the wrong command
            self._reader = LineReader(self._options.checksum)
        if not self._lost and now - self._heard_at >= LOST_AFTER_S:
            self._lost, self._answered = True, False
            self.unit.lose()
            self._say_wish(now)
        self._pump(now)
        wish_at = now + TIMEOUT_S if self._left_alone(now) else self.unit.due_at()
        timeout_at = min((asked.at for asked in self._waiting), default=now) + TIMEOUT_S
        return max(min(wish_at, timeout_at, *self._due.values()), self._pause_until, now + STEP_S)

    def feed(self, data: bytes, now: float) -> None:
        for message in self._reader.feed(data):
            self._take(message, now)
        self._pump(now)

    def trouble(self, now: float) -> str:
        if self._lost:
            silence_s = now - self._heard_at
            return f"the controller has been silent for {silence_s:.0f} s; check its power, the cable, 'baud'"
        if self._refused:
            return self._refused
        return "" if self.unit.verified else "waiting for the controller to introduce itself"

    # What to say

    def _on_wish(self, now: float) -> None:
        if self._answered and self._open and (self.unit.urgent or self._must_open_now):
            self._say_wish(now)
        else:
            self._pump(now)

    def _on_reset(self, now: float) -> None:
        if self._open:
            self._ask("FR", now, urgent=True)

    @property
    def _must_open_now(self) -> bool:
        return self.unit.open_now and (self._status is None or self._status.relay_on)

    def _left_alone(self, now: float) -> bool:
        status = self._status
        alone = status is not None and status.faulted and not status.relay_on and not self.unit.wish.enabled
        return alone and now - self._status_at <= LEFT_ALONE_S

    def _pump(self, now: float) -> None:
        """Send the most important of what is due, if nothing is under way."""
        if not self._open or self._waiting or now < self._pause_until:
            return
        if not self._answered and not self._left_alone(now):
            self._say_wish(now)
            return
        blind = now - self._status_at >= LEFT_ALONE_S and self._last_asked != "GS"
        if self.unit.is_due(now) and not self._left_alone(now) and not blind and not self._look_first:
            self._say_wish(now)
            return
        # What is asked for regularly comes between the steps of the introduction: they may be refused for ever.
        for name in ("GS", "SY"):
            if now >= self._due.get(name, math.inf):
                self._due[name] = now + (self._options.poll_interval_s if name == "GS" else TIMEOUT_S)
                self._look_first = False
                self._ask(name, now)
                return
        if self._setup and not self._refused:
            self._ask(self._setup[0], now)
            return
        for name, every_s in (("GP", SLOW_POLL_S), ("GG", METER_POLL_S)):
            if now >= self._due.get(name, math.inf):
                self._due[name] = now + every_s
                if name not in self._unsupported and (name == "GP" or self._options.meter):
                    self._ask(name, now)
                    return

    def _say_wish(self, now: float) -> None:
        if self._left_alone(now):
            return
        wish = self.unit.take(now)
        if wish.enabled:
            # Volatile: neither EEPROM nor the installer's maximum is touched.
            self._ask(f"SC {wish.current_a:.0f} V", now, wish)
        else:
            # FS lets the vehicle stop first and opens after 3 s at the latest; FD opens at once and shows −12 V.
            fast = self._must_open_now or not wish.available or not self._answered
            self._ask("FD" if fast else "FS", now, wish, urgent=True)

    def _ask(self, command: str, now: float, wish: Wish | None = None, *, urgent: bool = False) -> None:
        self._sequence = self._sequence % MAX_SEQUENCE + 1 if self._options.sequence_ids else 0
        self._waiting.append(_Asked(command, self._sequence, now, wish))
        self._last_asked = command
        self.lines_sent += 1
        self._send(encode(command, self._sequence, self._options.checksum), urgent)

    # What is heard

    def _take(self, message: Message, now: float) -> None:
        name, args = message.tokens[0], message.tokens[1:]
        if name not in ("OK", "NK", "AB", "AT", "AN", "WF", "ST"):
            return  # what a line that echoes brings back of our own
        if name == "AB":
            self.unit.heard(now)
            self.unit.count_reset(f"boot, self-test {args[0]}" if args else "boot")
            self.begin(now, args[0] if args else "00")
            return
        if name in ("OK", "NK"):
            self._on_reply(message, now)
            return
        self.unit.heard(now)
        if name == "AT" and len(args) == 4:
            self._on_status(s.parse_status(args[0], args[1], args[3]), now)
            self._check_offer(s.whole(args[2]))
        elif name == "AN" and args:
            self.unit.press(ButtonPress(now, long=args[0] == "1"))

    def _on_reply(self, message: Message, now: float) -> None:
        ok, args = message.tokens[0] == "OK", message.tokens[1:]
        asked = next((each for each in self._waiting if each.sequence == message.sequence), None)
        if asked is None:
            if not ok and self._waiting:  # it could not even read the sequence id
                del self._waiting[0]
                self._pause_until = now + PAUSE_S
            return
        self.unit.heard(now)
        if self._lost:
            self.begin(now)
            return
        self._heard_at = now
        self._answered = True
        self._waiting.remove(asked)
        self._pause_until = 0.0
        if asked.wish is not None:
            self._on_wish_reply(asked, asked.wish, ok, args, now)
        elif asked.command in self._setup:
            self._on_setup_reply(asked, ok, args, now)
        elif asked.name == "GS":
            self._on_status(s.parse_status(args[0], args[2], args[3]) if ok and len(args) == 4 else None, now)
            if ok and len(args) != 4:
                self._refuse("its status has another form; it is no OpenEVSE, or its firmware is too old (before 3.0)")
        elif asked.command == "SY":
            self._on_pulse(ok, now)
        elif not ok:
            self._unsupported.add(asked.name)
        elif asked.name == "GP":
            values = s.temperatures(args)
            if values is not None:
                self.unit.tell_temperatures(values, now)
        elif asked.name in ("GG", "GU"):
            self._on_meter(asked.name, args, now)
        self._verify()

    def _on_wish_reply(self, asked: _Asked, wish: Wish, ok: bool, args: tuple[str, ...], now: float) -> None:
        if not ok and asked.name != "SC":
            self._pause_until = now + PAUSE_S
        if not wish.enabled:
            if ok and not (asked.name == "FS" and self._must_open_now):
                self._confirm(asked, wish, now)
            return
        if wish != self.unit.wish:
            return  # overtaken by another command; that one is due
        if asked.name == "SC":
            taken_a = s.whole(args[0]) if args else None
            # It answers NK with what it took instead: its lowest, its maximum, or what it holds while it is hot.
            if taken_a is None or taken_a > wish.current_a:
                self.unit.lose()
                told = "nothing" if taken_a is None else f"{taken_a} A"
                self._refuse(
                    f"it was allowed {wish.current_a:.0f} A and took {told}; check its service level and settings"
                )
                return
            locked = self._status is not None and self._status.flags & s.BOOT_LOCK
            self._ask("SB" if locked else "FE", now, wish)
        elif asked.name == "SB" and ok and args[:1] == ("0",):
            self._ask("FE", now, wish)
        elif asked.name == "FE" and ok:
            self._confirm(asked, wish, now)

    def _confirm(self, asked: _Asked, wish: Wish, now: float) -> None:
        if any(other.wish is not None for other in self._waiting):
            return  # another one has left since
        if asked.name == "FD" and wish.available:
            # Opened in haste. When the relay is seen open it is put to sleep instead, so that it sees vehicles again.
            self._look_first = True
            self._due["GS"] = self._pause_until = now + PAUSE_S
            return
        self.unit.confirm(wish, now)

    def _on_setup_reply(self, asked: _Asked, ok: bool, args: tuple[str, ...], now: float) -> None:
        del self._setup[self._setup.index(asked.command)]
        match asked.name:
            case "GV" if ok and args:
                self._version = args[0]
            case "GE" if ok and (flags := s.parse_settings(args)) is not None:
                self._on_settings(flags)
            case "GC" if ok and (range_a := s.parse_numbers(args, 4)) is not None:
                low_a, hardware_a, _, most_a = range_a
                most_a = min(most_a, hardware_a)
                self.unit.limit(min_current_a=low_a, max_current_a=most_a)
                self.unit.tell_capabilities(
                    Capabilities("OpenEVSE", self._version, "RAPI", min_current_a=low_a, max_current_a=most_a)
                )
            case "SY" if asked.command == ACKNOWLEDGE_MISSED:
                pass  # whether it helped, the pulse after it tells
            case "SY" if asked.command == "SY":
                self._on_pulse(ok, now)
            case "SY" if ok and args[:2] == tuple(asked.command.split()[1:]):
                pass
            case "SY":
                self._refuse(
                    "it has no heartbeat supervision, so it would charge on without us; update its firmware,"
                    " or set 'heartbeat_s: 0' if you accept that"
                )
            case "FF" if ok:
                pass
            case "FF":
                self._refuse("its button cannot be taken over; set 'button: false'")
            case _:
                self._refuse(f"it does not answer {asked.name} as OpenEVSE does; check what hangs on the line")

    def _on_settings(self, flags: int) -> None:
        off = [name for name in s.switched_off(flags) if name not in self._options.accept_disabled]
        if off:
            self._refuse(
                f"its check {', '.join(off)} is switched off; switch it on in the controller, or name it in"
                " 'accept_disabled' if something else protects"
            )
        if self._options.button and not flags & s.BUTTON_OFF:
            self._setup.append("FF B 0")  # saved in its EEPROM, so only where needed

    def _on_pulse(self, ok: bool, now: float) -> None:
        interval_s = self._options.heartbeat_s / PULSES_PER_INTERVAL
        self._due["SY"] = now + interval_s
        if ok:
            return
        # A pulse was missed: it has gone down to its fallback. To acknowledge raises it to its maximum, whatever we
        # allow: so it is stopped first, and control allows it afresh.
        self.unit.lose()
        self._setup[:0] = [ACKNOWLEDGE_MISSED, "SY"]
        self._due.pop("SY")
        self._pause_until = now + PAUSE_S
        self._say_wish(now)

    def _on_status(self, status: s.Status | None, now: float) -> None:
        if status is None:
            return
        before, self._status, self._status_at = self._status, status, now
        pilot = status.pilot_state
        if pilot is not None:
            self.unit.tell_pilot(pilot, now)
        self.unit.tell_contacts(status.closed, now)
        self.unit.tell_errors(status.errors)
        stop_is_under_way = any(asked.wish is not None and not asked.wish.enabled for asked in self._waiting)
        if not self.unit.wish.enabled and not status.asleep and not stop_is_under_way:
            self.unit.doubt()  # told to stop, it is awake: its button, its timer, or it has left a fault
            if before is not None and before.faulted and not status.faulted:
                self._say_wish(now)

    def _check_offer(self, offered_a: int | None) -> None:
        """It told of more than was allowed: somebody else has set it, or a reset went unnoticed."""
        if offered_a is not None and self.unit.wish.enabled and offered_a > self.unit.wish.current_a:
            self.unit.doubt()

    def _on_meter(self, name: str, args: tuple[str, ...], now: float) -> None:
        numbers = s.parse_numbers(args, 2)
        if name == "GG":
            self._current = (numbers[0], numbers[1]) if numbers is not None and numbers[0] >= 0 else None
            if self._current is not None:
                self._ask("GU", now)
        elif numbers is not None and numbers[1] >= 0 and self._current is not None:
            current_a, voltage_v = self._current[0] / 1000, self._current[1] / 1000
            measured = voltage_v > 0
            self.unit.tell_meter(
                MeterReading(
                    at=now,
                    energy_import_wh=float(numbers[1]),
                    power_w=current_a * voltage_v if measured else None,
                    voltage_v=(voltage_v,) if measured else (),
                    current_a=(current_a,),
                    quality=Quality.SUSPECT,  # its energy is made of an assumed or uncalibrated voltage
                )
            )

    def _verify(self) -> None:
        stopped = self.unit.due_at() > -math.inf or (self._status is not None and self._status.faulted)
        if not self._setup and not self._refused and self._status is not None and stopped and not self._lost:
            self.unit.verify()

    def _refuse(self, reason: str) -> None:
        self._refused = reason
        self.unit.lose()
