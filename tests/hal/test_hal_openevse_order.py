"""The conversation with an OpenEVSE controller, whatever it says and whenever: pure, no line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hal.drivers.following import Wish
from hal.drivers.openevse.controller import Controller
from hal.drivers.openevse.options import OpenEvseOptions
from hal.drivers.openevse.rapi import LineReader, encode

STATES = ("00", "01", "02", "03", "04", "05", "06", "08", "0e", "77", "fe", "ff")
FLAGS = ("0000", "0100", "0140", "4100", "0002")
ANSWERS = {
    "GV": ("8.2.1 5.2.1",),
    "GE": ("16 0021", "16 0023"),
    "GC": ("6 80 16 32", "10 80 16 20"),
    "GP": ("283 -2560 -2560",),
    "SY": ("10 6 0",),
    "SB": ("0", "1"),
}
COMMANDS = st.one_of(
    st.tuples(st.just("pilot"), st.sampled_from([0.0, 5.0, 10.0, 26.66, 50.0, 100.0])),
    st.tuples(st.just("contactor"), st.sampled_from([0.0, 1.0])),
)
WORLD = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 0.3, 0.6, 2.5])),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("refuse"), st.just(0)),
    st.tuples(
        st.just("say"), st.sampled_from(["AB 00 8", "AB 08 8", "AN 1", "OK", "NK", "OK 01 0 01 0000 :07", "WF 1"])
    ),
    st.tuples(st.just("state"), st.tuples(st.sampled_from(STATES), st.integers(6, 32), st.sampled_from(FLAGS))),
    st.tuples(st.just("noise"), st.binary(max_size=30)),
    st.tuples(st.sampled_from(["drop", "begin"]), st.just(0)),
)


class Line:
    """Keeps what was said, and holds every word to the rules as it leaves."""

    def __init__(self) -> None:
        self.controller = Controller(OpenEvseOptions("/dev/null"), self.hear)
        self.open_questions: list[tuple[str, int]] = []
        self.reader = LineReader()
        self.duty: float | None = None
        self.count = 0

    def hear(self, data: bytes, urgent: bool) -> None:
        (message,) = self.reader.feed(data)
        word = message.tokens[0]
        self.count += 1
        self.open_questions.append((" ".join(message.tokens), message.sequence))
        unit = self.controller.unit
        assert urgent == (word in ("FD", "FS", "FR"))
        if word in ("SC", "SB", "FE"):
            assert unit.verified, "before it is certain of its counterpart"
            assert unit.wish.enabled
        if word == "SC":
            assert message.tokens == ("SC", f"{unit.wish.current_a:.0f}", "V")

    def answer(self, ok: bool, choice: int, state: str, now: float) -> None:
        if not self.open_questions:
            return
        command, sequence = self.open_questions.pop(0)
        name = command.split()[0]
        if name == "SC":
            figures = (command.split()[1], "6", "80")
        elif name == "GS":
            figures = (f"{state} 0 {state} 0100",)
        else:
            figures = ANSWERS.get(name, ("",))
        text = f"{'OK' if ok else 'NK'} {figures[choice % len(figures)]}".strip()
        self.controller.feed(encode(text, sequence), now)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(COMMANDS, WORLD), max_size=80))
def test_it_never_enables_what_it_must_not_and_never_talks_without_end(steps: list[tuple[str, object]]) -> None:
    line, now, state = Line(), 0.0, "fe"
    controller, unit = line.controller, line.controller.unit
    controller.begin(now)
    assert line.open_questions[0][0] == "FD"
    for kind, value in steps:
        before = line.count
        match kind, value:
            case "pilot", float():
                unit.set_pilot(value, now)
            case "contactor", float():
                unit.set_contactor(bool(value), now)
            case "wait", float():
                now += value
            case "answer", int():
                line.answer(True, value, state, now)
            case "refuse", _:
                line.answer(False, 0, state, now)
            case "say", str():
                controller.feed(encode(value), now)
            case "state", (str() as state, int() as amps, str() as flags):
                controller.feed(encode(f"AT {state} {state} {amps} {flags}"), now)
            case "noise", bytes():
                controller.feed(value, now)
            case "drop", _:
                controller.drop()
            case "begin", _:
                line.open_questions.clear()
                controller.begin(now)
        assert controller.on_timer(now) > now
        controller.trouble(now)
        assert line.count - before <= 4, "one event, and it talks and talks"
        if not unit.verified:
            assert not unit.wish.enabled


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=5))
def test_a_stop_leaves_at_once_whatever_is_under_way(states: list[str]) -> None:
    line, now = Line(), 0.0
    controller, unit = line.controller, line.controller.unit
    controller.begin(now)
    while not unit.verified:
        line.answer(True, 0, "fe", now)
        now += 0.01
        controller.on_timer(now)
        assert now < 1.0
    unit.set_pilot(50.0, now)
    assert unit.wish == Wish(True, 30.0, True)
    for _ in states:
        line.answer(True, 0, "03", now)
    before = line.count
    unit.set_pilot(0.0, now)
    assert line.open_questions[-1][0] == "FD"
    assert line.count == before + 1
