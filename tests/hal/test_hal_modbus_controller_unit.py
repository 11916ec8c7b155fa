"""One controller's dialogue in virtual time: whatever it answers, nothing is enabled before it is certain."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.drivers.modbus.framing import Mbap, Rtu, seal
from hal.drivers.modbus.master import LATE_FOR_S, Master, Unanswered
from hal.drivers.modbus.pdu import Answer, Answered, Read, Refused, Request, WriteCoil, WriteRegister, WriteRegisters
from hal.drivers.modbus_controller.model import Preparation
from hal.drivers.modbus_controller.models import MODELS, ModelName
from hal.drivers.modbus_controller.unit import LOST_AFTER_S, SEARCH_INTERVAL_S, ControllerUnit, Job, Stage
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, PilotState

POLL_S = 0.5
STEP_S = 0.02
N = ModelName
every_model = pytest.mark.parametrize("name", list(ModelName))
CURRENT = {N.HEIDELBERG: 261, N.ABL_EMH1: 0x14}
QUIET: dict[int, dict[int, int]] = {
    1: {400: 0, 20000: 0},
    3: {
        **dict.fromkeys((1, 2, *range(0x0F, 0x14), *range(0x2E, 0x33)), 1),
        **dict.fromkeys((*range(100, 130), *range(140, 260)), 0x3131),
        **dict.fromkeys(range(1000, 1008), 0),
        **dict.fromkeys(range(2000, 2008), 0),
        **dict.fromkeys((257, 258, 261, 262, 300, 528, 22000), 6),
        4: 0xA1,
        104: 0,
        122: 1,
        140: 0,
        259: 1,
        1002: 1,
        1005: 17,
    },
    4: {
        **dict.fromkeys((*range(4, 19), *range(100, 132), 904, 905), 1),
        4: 0x107,
        5: 2,
        100: 0x41,
        107: 0,
        24000: 0x4100,
    },
}
"""A vehicle-less box of any make."""


class Box:
    """Registers that hold what they are told."""

    def __init__(self, name: ModelName) -> None:
        self.words = {function: dict(table) for function, table in QUIET.items()}
        if name is N.HEIDELBERG:
            self.words[4] |= {100: 16, 101: 6}
        self.name = name
        self.said: list[Request] = []

    def answer(self, request: Request) -> Answer:
        self.said.append(request)
        if isinstance(request, Read):
            table = self.words[request.function]
            values = [table.get(request.address + index) for index in range(request.count)]
            if None in values:
                return Refused(2)
            if request.reads_bits:
                return Answered(bytes([int(bool(values[0]))]))
            return Answered(b"".join((value or 0).to_bytes(2, "big") for value in values))
        if isinstance(request, WriteCoil):
            self.words[1][request.address] = int(request.on)
        else:
            value = request.values[0] if isinstance(request, WriteRegisters) else request.value
            self.words[3][request.address] = value
            if self.name is N.ABL_EMH1 and request.address == 0x14:
                self.words[3][0x12] = 0x1000 | value
            if self.name is N.ABL_EMH1 and request.address == 5:
                self.words[3][4] = value & 0xFF
        return Answered()

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.said if not isinstance(request, Read)]


def enables(name: ModelName, request: Request) -> bool:
    """That request alone would let the box offer current."""
    if isinstance(request, WriteCoil):
        return request.on
    if isinstance(request, WriteRegister | WriteRegisters) and request.address == CURRENT.get(name, 1000):
        value = request.values[0] if isinstance(request, WriteRegisters) else request.value
        return value not in (0, 1000)
    return False


def make(name: ModelName) -> ControllerUnit:
    return ControllerUnit(MODELS[name], 1, "controller (address 1)", Preparation(6.0, 0.0), POLL_S, lambda _: None)


def run(unit: ControllerUnit, box: Box, now: float, seconds: float) -> float:
    end = now + seconds
    while now < end:
        unit.watch(now)
        job = unit.pressing(now) or unit.job(now)
        if job is not None:
            unit.took(job, box.answer(job.request), now, now + STEP_S / 2)
        now += STEP_S
    return now


@every_model
def test_it_reads_who_is_there_before_it_writes_and_ends_the_offer_first(name: ModelName) -> None:
    unit, box = make(name), Box(name)
    run(unit, box, 0.0, 3.0)
    assert unit.verified
    assert isinstance(box.said[0], Read)
    assert [request for request in box.writes if enables(name, request)] == []


@every_model
def test_an_enabling_command_counts_only_once_it_is_certain(name: ModelName) -> None:
    unit, box = make(name), Box(name)
    unit.set_pilot(26.67, 0.0)
    now = run(unit, box, 0.0, 3.0)
    assert unit.verified
    assert not any(enables(name, request) for request in box.writes)
    unit.set_pilot(PILOT_X1_PCT, now)
    now = run(unit, box, now, 1.0)
    unit.set_pilot(26.67, now)
    now = run(unit, box, now, 1.0)
    assert any(enables(name, request) for request in box.writes)
    assert not unit.urgent
    box.said.clear()
    now = run(unit, box, now, 5.0)
    assert box.writes == [], "what is as it should be is not written again"
    unit.set_pilot(PILOT_X1_PCT, now)
    pressing = unit.pressing(now)
    assert pressing is not None
    assert not enables(name, pressing.request)


@every_model
def test_silence_ends_everything_and_it_starts_from_the_beginning(name: ModelName) -> None:
    unit, box = make(name), Box(name)
    now = run(unit, box, 0.0, 3.0)
    unit.set_pilot(26.67, now)
    now = run(unit, box, now, 1.0)
    assert unit.wish.enabled
    pilot = unit.pilot()
    for _ in range(int((LOST_AFTER_S + 1) / STEP_S)):
        unit.watch(now)
        job = unit.pressing(now) or unit.job(now)
        if job is not None:
            unit.took(job, Unanswered(garbled=False), now, now)
        now += STEP_S
    assert unit.stage is Stage.IDENTIFY
    assert not unit.wish.enabled
    assert unit.pilot() == pilot
    box.said.clear()
    now = run(unit, box, now, SEARCH_INTERVAL_S + 3.0)
    assert unit.verified
    assert isinstance(box.said[0], Read)
    assert not any(enables(name, request) for request in box.writes)


@every_model
def test_a_box_that_lowers_the_limit_by_itself_is_left_alone(name: ModelName) -> None:
    """It has a maximum of its own: that is no other master."""
    address = {N.PHOENIX_EM_CP_PP_ETH: 300, N.PHOENIX_EV_CC_ETH: 528, N.PHOENIX_EV_CC_AC1_M: 22000}
    place = 0x12 if name is N.ABL_EMH1 else address.get(name, CURRENT.get(name, 1000))
    unit, box = make(name), Box(name)
    now = run(unit, box, 0.0, 3.0)
    unit.set_pilot(26.67, now)
    now = run(unit, box, now, 0.2)
    assert box.words[3][place] & 0xFFF
    box.words[3][place] = 0x1000 | 100 if name is N.ABL_EMH1 else box.words[3][place] // 2
    now = run(unit, box, now, 8.0)
    board = unit.board()
    assert board is not None
    assert (board.resets, unit.wish.enabled) == (0, True)
    box.words[3][place] = 7  # and now it changes once more
    run(unit, box, now, 2.0)
    board = unit.board()
    assert board is not None
    assert board.resets == 1
    assert not unit.wish.enabled


@every_model
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.7, 5.0])
def test_a_restart_at_any_moment_of_a_charge_takes_the_permission_away(name: ModelName, after_s: float) -> None:
    unit, box = make(name), Box(name)
    now = run(unit, box, 0.0, 3.0)
    unit.set_pilot(26.67, now)
    now = run(unit, box, now, 3 * STEP_S + after_s)
    assert any(enables(name, request) for request in box.writes)
    fresh = Box(name)
    fresh.words[3][0x12] = 0x1000 | 1000
    if name is N.HEIDELBERG:
        fresh.words[3] |= {261: 0}
    now = run(unit, fresh, now, MODELS[name].settle_s + 3 * POLL_S)
    assert not unit.wish.enabled
    assert not any(enables(name, request) for request in fresh.writes)


OUTCOMES = st.one_of(
    st.just("obey"),
    st.builds(Unanswered, st.booleans()),
    st.builds(Refused, st.integers(1, 11)),
    st.binary(min_size=1, max_size=60),
)
COMMANDS = st.sampled_from([None, None, PILOT_F_PCT, PILOT_X1_PCT, 10.0, 26.67, 53.33, float("nan"), -1.0])


@every_model
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(OUTCOMES, COMMANDS, st.floats(0.001, 2.0)), max_size=60))
def test_whatever_it_answers_nothing_is_enabled_without_certainty(
    name: ModelName, steps: list[tuple[object, float | None, float]]
) -> None:
    unit, box, now = make(name), Box(name), 0.0
    for outcome, duty_pct, passed_s in steps:
        now += passed_s
        if duty_pct is not None:
            unit.set_pilot(duty_pct, now)
        unit.watch(now)
        job = unit.pressing(now) or unit.job(now)
        if job is None:
            continue
        if unit.stage is Stage.IDENTIFY:
            assert isinstance(job.request, Read)
        if enables(name, job.request):
            assert unit.verified
            assert unit.wish.enabled
        unit.took(job, answer_of(box, job, outcome), now, now)
        pilot = unit.pilot()
        assert pilot is None or pilot.at <= now
        assert pilot is None or isinstance(pilot.state, PilotState)


def answer_of(box: Box, job: Job, outcome: object) -> Answer | Unanswered:
    if isinstance(outcome, Unanswered | Refused):
        return outcome
    if isinstance(outcome, bytes) and isinstance(job.request, Read):
        size = job.request.data_size
        return Answered((outcome * (size // len(outcome) + 1))[:size])
    return box.answer(job.request)


# ---- the master


class Wire:
    """A line whose far end is the test."""

    def __init__(self) -> None:
        self.trouble, self.next_open_at = "", 0.0
        self.is_open, self.has_pending = True, False
        self.sent: list[bytes] = []
        self.coming = b""

    def fileno(self) -> int | None:
        return None

    def check(self) -> None:
        """Nothing to check."""

    def open(self, now: float) -> bool:
        return True

    def read(self) -> bytes:
        data, self.coming = self.coming, b""
        return data

    def send(self, data: bytes, key: str = "", *, urgent: bool = False) -> None:
        self.sent.append(data)

    def flush(self) -> None:
        """Nothing waits."""

    def discard_input(self) -> None:
        self.coming = b""

    def close(self) -> None:
        self.is_open = False


READ = Read(3, 1002, 1)
GOOD = seal(bytes.fromhex("0103020002"))


def arrive(master: Master, wire: Wire, data: bytes, now: float) -> None:
    wire.coming = data
    master.on_readable(now)


def test_a_late_answer_dates_from_the_request_it_may_belong_to() -> None:
    wire = Wire()
    master = Master(wire, Rtu(), gap_s=0.01, response_timeout_s=0.5)
    master.reset(0.0)
    master.ask(1, READ, 1.0)
    assert master.take(1.4) is None
    assert master.take(1.5) == Unanswered(garbled=False)
    assert not master.free(1.55)
    assert master.free(1.7)
    master.ask(1, READ, 1.7)
    arrive(master, wire, GOOD, 1.8)
    assert master.take(1.8) == Answered(b"\x00\x02")
    assert master.sampled_at == 1.0
    master.ask(1, READ, 2.0)
    arrive(master, wire, GOOD, 2.1)
    assert master.take(2.1) == Answered(b"\x00\x02")
    assert master.sampled_at == 1.7, "the second one's own answer was still to come"
    later = 2.0 + LATE_FOR_S + 0.5
    master.ask(1, READ, later)
    arrive(master, wire, GOOD, later)
    master.take(later)
    assert master.sampled_at == later


def test_over_tcp_the_transaction_tells_and_a_frame_in_pieces_is_kept_together() -> None:
    wire = Wire()
    master = Master(wire, Mbap(), gap_s=0.0, response_timeout_s=0.5)
    master.reset(0.0)
    late = bytes.fromhex("0001 0000 0005 01 03 02 0002")
    news = bytes.fromhex("0002 0000 0005 01 03 02 0003")
    master.ask(1, READ, 1.0)
    arrive(master, wire, late[:6], 1.4)
    assert master.take(1.5) == Unanswered(garbled=True)
    master.ask(1, READ, 1.7)
    arrive(master, wire, late[6:] + news, 1.8)
    assert master.take(1.8) == Answered(b"\x00\x03")
    assert master.sampled_at == 1.7


def test_bytes_that_nobody_asked_for_are_another_master_and_are_let_finish() -> None:
    wire = Wire()
    master = Master(wire, Rtu(), gap_s=0.02, response_timeout_s=0.5)
    master.reset(0.0)
    assert not master.hears_another(1.0)
    arrive(master, wire, b"\x07\x03", 1.0)
    assert master.hears_another(1.0)
    assert not master.free(1.0)
    assert master.free(1.03)
    for step in range(100):
        arrive(master, wire, b"\x07", 1.0 + step / 100)
    assert master.free(2.0), "it is not waited for for ever"
    assert not master.hears_another(20.0)
