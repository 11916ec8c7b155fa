"""The models as data: registers in, readings out; wishes in, registers out. Tables by hand from hardware.md §C."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.following import NOTHING, Wish
from hal.drivers.modbus.pdu import READ_COILS, READ_HOLDING, READ_INPUT, Read, Request
from hal.drivers.modbus.pdu import WriteCoil as Coil
from hal.drivers.modbus.pdu import WriteRegister as One
from hal.drivers.modbus.pdu import WriteRegisters as Many
from hal.drivers.modbus_controller.model import Identity, Model, Order, Preparation, Registers, UnreadableError
from hal.drivers.modbus_controller.models import MODELS, ModelName
from hal.values import BoardError, Cable, PilotState

N = ModelName
HIGH, LOW = Wish(True, 16.0, True), Wish(True, 6.0, True)
PAUSE = Wish(available=True)
every_model = pytest.mark.parametrize("name", list(ModelName))


def registers(*blocks: tuple[int, int, str]) -> Registers:
    """``(function, address, words in hexadecimal)``."""
    made = Registers()
    for function, address, words in blocks:
        data = bytes.fromhex(words)
        made.store(Read(function, address, len(data) * 8 if function < READ_HOLDING else len(data) // 2), data)
    return made


def written(
    name: ModelName, order: Order, *, identity: Identity | None = None, held: Registers | None = None
) -> list[Request]:
    settings = MODELS[name].command(order, identity or Identity(), held or Registers())
    return [setting.request() for setting in settings]


@pytest.mark.parametrize(
    ("name", "wish", "expected"),
    [
        (N.SIMPLE_EVSE, HIGH, [Many(1004, (0,)), Many(1000, (16,))]),
        (N.SIMPLE_EVSE, PAUSE, [Many(1000, (0,))]),
        (N.PHOENIX_EM_CP_PP_ETH, HIGH, [One(300, 16), Coil(400, True)]),
        (N.PHOENIX_EM_CP_PP_ETH, PAUSE, [Coil(400, False)]),
        (N.PHOENIX_EV_CC_ETH, LOW, [One(528, 6), Coil(400, True)]),
        (N.PHOENIX_EV_CC_ETH, NOTHING, [Coil(400, False)]),
        (N.PHOENIX_EV_CC_AC1_M, HIGH, [One(22000, 16), Coil(20000, True)]),
        (N.PHOENIX_EV_CC_AC1_M, PAUSE, [Coil(20000, False)]),
        (N.HEIDELBERG, HIGH, [One(259, 1), One(261, 160)]),
        (N.HEIDELBERG, PAUSE, [One(261, 0), One(259, 1)]),
        (N.HEIDELBERG, NOTHING, [One(261, 0), One(259, 0)]),
        (N.ABL_EMH1, HIGH, [Many(0x14, (266,))]),
        (N.ABL_EMH1, LOW, [Many(0x14, (100,))]),
        (N.ABL_EMH1, PAUSE, [Many(0x14, (1000,))]),
        (N.ABL_EMH1, NOTHING, [Many(0x14, (1000,)), Many(5, (0xE0E0,))]),
        (N.BENDER_CC612, HIGH, [Many(1000, (16,))]),
        (N.BENDER_CC612, PAUSE, [Many(1000, (0,))]),
    ],
)
def test_a_wish_becomes_registers(name: ModelName, wish: Wish, expected: list[Request]) -> None:
    assert written(name, Order(wish, force_open=False)) == expected


def test_simple_evse_counts_in_hundredths_where_it_is_set_to_and_opens_at_once_when_told() -> None:
    fine = Identity(scale=0.01)
    wish = Wish(True, 15.99, True)
    assert written(N.SIMPLE_EVSE, Order(wish, False), identity=fine)[-1] == Many(1000, (1599,))
    assert written(N.SIMPLE_EVSE, Order(wish, False))[-1] == Many(1000, (15,))
    assert written(N.SIMPLE_EVSE, Order(PAUSE, True)) == [Many(1000, (0,)), Many(1004, (1,))]


def test_abl_is_sent_back_to_waiting_only_from_disabled() -> None:
    disabled, waiting = registers((3, 4, "00E0")), registers((3, 4, "00A1"))
    assert written(N.ABL_EMH1, Order(PAUSE, False), held=disabled) == [Many(5, (0xA1A1,)), Many(0x14, (1000,))]
    assert written(N.ABL_EMH1, Order(PAUSE, False), held=waiting) == [Many(0x14, (1000,))]
    assert written(N.ABL_EMH1, Order(NOTHING, False), held=disabled) == [Many(0x14, (1000,))]


def test_heidelberg_gets_its_net_before_anything_else() -> None:
    settings = MODELS[N.HEIDELBERG].prepare(Preparation(6.0, 0.0))
    assert [setting.request() for setting in settings] == [One(262, 0), One(257, 6000), One(258, 4)]
    (failsafe, *_) = MODELS[N.HEIDELBERG].prepare(Preparation(6.0, 6.0))
    assert failsafe.request() == One(262, 60)


def test_simple_evse_is_told_to_offer_nothing_after_its_own_restart() -> None:
    assert [s.request() for s in MODELS[N.SIMPLE_EVSE].prepare(Preparation(6.0, 0.0))] == [Many(2000, (0,))]


@every_model
@given(current_a=st.floats(6.0, 80.0), available=st.booleans())
def test_no_model_ever_writes_more_than_was_wished(name: ModelName, current_a: float, available: bool) -> None:
    """Amperes per unit of the register that carries the current."""
    units = {N.HEIDELBERG: (261, 0.1), N.ABL_EMH1: (0x14, 0.06), N.PHOENIX_EM_CP_PP_ETH: (300, 1.0)}
    units |= {N.PHOENIX_EV_CC_ETH: (528, 1.0), N.PHOENIX_EV_CC_AC1_M: (22000, 1.0)}
    address, scale = units.get(name, (1000, 1.0))
    for request in written(name, Order(Wish(True, current_a, True), False)):
        if not isinstance(request, Coil) and request.address == address:
            value = request.value if isinstance(request, One) else request.values[0]
            assert value * scale <= current_a + 1e-5
            assert value * scale > current_a - scale - 1e-5
    for request in written(name, Order(Wish(available=available), True))[:1]:
        assert request in (Coil(400, False), Coil(20000, False), One(261, 0), Many(0x14, (1000,)), Many(1000, (0,)))


SIMPLE = "0010 0010 {state:04X} 0020 0000 0011 0002 {status:04X}"
CONFIG = "0010 0001 0006 0000 0000 {config:04X} 0000 0000"


@pytest.mark.parametrize(
    ("state", "status", "pilot", "closed", "errors"),
    [
        (1, 0x00, PilotState.A, False, set()),
        (2, 0x00, PilotState.B, False, set()),
        (3, 0x01, PilotState.C, True, set()),
        (4, 0x01, PilotState.D, True, set()),
        (3, 0x10, PilotState.C, False, set()),
        (5, 0x02, PilotState.F, False, {BoardError.DIODE}),
        (5, 0x04, PilotState.F, False, {BoardError.VENTILATION}),
        (5, 0x10, PilotState.F, False, {BoardError.RESIDUAL_CURRENT}),
        (5, 0x20, PilotState.F, False, {BoardError.RESIDUAL_CURRENT}),
        (5, 0x00, PilotState.F, False, {BoardError.INTERNAL}),
    ],
)
def test_simple_evse_states(state: int, status: int, pilot: PilotState, closed: bool, errors: set[BoardError]) -> None:
    seen = MODELS[N.SIMPLE_EVSE].look(registers((3, 1000, SIMPLE.format(state=state, status=status))))
    assert (seen.state, seen.closed, seen.errors, seen.cable) == (pilot, closed, frozenset(errors), Cable.A32)


@pytest.mark.parametrize(("config", "scale"), [(0x80, 0.01), (0x00, 1.0)])
def test_simple_evse_is_recognised(config: int, scale: float) -> None:
    read = registers((3, 1000, SIMPLE.format(state=1, status=0)), (3, 2000, CONFIG.format(config=config)))
    assert MODELS[N.SIMPLE_EVSE].recognise(read) == Identity("EVSE-WB", "17", 6.0, 80.0, scale)


@pytest.mark.parametrize(
    ("letter", "enabled", "code", "pilot", "closed", "errors"),
    [
        ("A", 0, 0, PilotState.A, False, set()),
        ("B", 1, 0, PilotState.B, False, set()),
        ("C", 0, 0, PilotState.C, False, set()),
        ("C", 1, 0, PilotState.C, True, set()),
        ("D", 1, 10, PilotState.D, True, set()),
        ("E", 1, 4, PilotState.E, False, {BoardError.PILOT}),
        ("F", 1, 14, PilotState.F, False, {BoardError.RESIDUAL_CURRENT}),
        ("F", 0, 99, PilotState.F, False, {BoardError.INTERNAL}),
    ],
)
def test_phoenix_states(
    letter: str, enabled: int, code: int, pilot: PilotState, closed: bool, errors: set[BoardError]
) -> None:
    block = f"{ord(letter):04X} 0020 0000 0000 0000 0000 0000 {code:04X}"
    for name in (N.PHOENIX_EM_CP_PP_ETH, N.PHOENIX_EV_CC_ETH):
        seen = MODELS[name].look(registers((READ_INPUT, 100, block), (READ_COILS, 400, f"{enabled:02X}")))
        assert (seen.state, seen.closed, seen.errors) == (pilot, closed, frozenset(errors))
    serial = registers((READ_INPUT, 24000, f"{ord(letter):02X}00"), (READ_COILS, 20000, f"{enabled:02X}"))
    seen = MODELS[N.PHOENIX_EV_CC_AC1_M].look(serial)
    assert (seen.state, seen.closed) == (pilot, closed)


def test_phoenix_measures_with_the_low_word_first_in_hundredths() -> None:
    """230.12 V = 23012 = 59E4h; 16.05 A = 0645h; 11.04 kW = 0450h; 1234.56 kWh = 123456 = 0001 E240h."""
    block = "59E4 0000 59E4 0000 59E4 0000 0645 0000 0645 0000 0645 0000 0450 0000 " + "0000 " * 6 + "E240 0001"
    measure = MODELS[N.PHOENIX_EM_CP_PP_ETH].measure
    assert measure is not None
    measured = measure(registers((READ_INPUT, 108, block)))
    assert measured.voltage_v == pytest.approx((230.12,) * 3)
    assert measured.current_a == pytest.approx((16.05,) * 3)
    assert measured.power_w == pytest.approx(11_040.0)
    assert measured.energy_import_wh == pytest.approx(1_234_560.0)


HEIDELBERG = "{state:04X} 00A0 00A0 0000 {temperature:04X} 00E6 00E7 00E8 {lock:04X} 0E60 0000 0064 0001 0002"


@pytest.mark.parametrize(
    ("state", "pilot", "errors"),
    [
        (2, PilotState.A, set()),
        (3, PilotState.A, set()),
        (5, PilotState.B, set()),
        (7, PilotState.C, set()),
        (8, PilotState.C, set()),
        (9, PilotState.E, {BoardError.PILOT}),
        (10, PilotState.F, {BoardError.INTERNAL}),
        (11, PilotState.F, {BoardError.INTERNAL}),
    ],
)
def test_heidelberg_states(state: int, pilot: PilotState, errors: set[BoardError]) -> None:
    read = registers((READ_INPUT, 5, HEIDELBERG.format(state=state, temperature=0xFFF1, lock=1)))
    seen = MODELS[N.HEIDELBERG].look(read)
    assert (seen.state, seen.errors, seen.remark, seen.uptime_counter) == (pilot, frozenset(errors), "", 100)
    assert seen.closed, "16 A flow, whatever the state says"
    assert seen.temperatures_c == pytest.approx((-1.5,))
    measure = MODELS[N.HEIDELBERG].measure
    assert measure is not None
    measured = measure(read)
    assert measured.energy_import_wh == 65_538.0
    assert measured.current_a == pytest.approx((16.0, 16.0, 0.0))
    assert measured.voltage_v == (230.0, 231.0, 232.0)


def test_heidelberg_tells_that_its_lock_input_holds_it_back() -> None:
    read = registers((READ_INPUT, 5, HEIDELBERG.format(state=4, temperature=280, lock=0)))
    assert "lock input" in MODELS[N.HEIDELBERG].look(read).remark


def test_heidelberg_is_recognised_with_its_own_limits() -> None:
    read = registers((READ_INPUT, 4, "0107"), (READ_INPUT, 100, "0010 0006"))
    assert MODELS[N.HEIDELBERG].recognise(read) == Identity("Energy Control", "layout 1.0.7", 6.0, 16.0)


ABL_QUIET = "0001 0001 0001"


@pytest.mark.parametrize(
    ("code", "amps", "pilot", "closed", "errors"),
    [
        (0xA1, ABL_QUIET, PilotState.A, False, set()),
        (0xB1, ABL_QUIET, PilotState.B, False, set()),
        (0xB2, "03E8 03E8 03E8", PilotState.B, False, set()),
        (0xC2, "00A0 00A0 00A0", PilotState.C, True, set()),
        (0xC4, ABL_QUIET, PilotState.C, True, set()),
        (0xB2, "00A0 0001 0001", PilotState.B, True, set()),
        (0xE0, ABL_QUIET, PilotState.F, False, set()),
        (0xF1, ABL_QUIET, PilotState.F, True, {BoardError.CONTACTOR_WELDED}),
        (0xF3, ABL_QUIET, PilotState.F, False, {BoardError.RESIDUAL_CURRENT}),
        (0xFA, ABL_QUIET, PilotState.F, False, {BoardError.TEMPERATURE}),
        (0xFB, ABL_QUIET, PilotState.F, False, {BoardError.CONTACTOR_STUCK_OPEN}),
    ],
)
def test_abl_states(code: int, amps: str, pilot: PilotState, closed: bool, errors: set[BoardError]) -> None:
    seen = MODELS[N.ABL_EMH1].look(registers((3, 4, f"00{code:02X}"), (3, 0x2E, f"00{code:02X} 0000 {amps}")))
    assert (seen.state, seen.closed, seen.errors) == (pilot, closed, frozenset(errors))


@pytest.mark.parametrize(
    ("pilot", "relay", "ocpp", "state", "closed", "phases", "errors"),
    [
        (1, 0, 0, PilotState.A, False, None, set()),
        (2, 0, 1, PilotState.B, False, None, set()),
        (3, 1, 1, PilotState.C, True, 3, set()),
        (3, 5, 1, PilotState.C, True, 1, set()),
        (5, 0, 4, PilotState.E, False, None, {BoardError.PILOT, BoardError.INTERNAL}),
    ],
)
def test_bender_states(
    pilot: int, relay: int, ocpp: int, state: PilotState, closed: bool, phases: int | None, errors: set[BoardError]
) -> None:
    read = registers((3, 122, f"{pilot:04X}"), (3, 140, f"{relay:04X}"), (3, 104, f"{ocpp:04X}"))
    seen = MODELS[N.BENDER_CC612].look(read)
    assert (seen.state, seen.closed, seen.phases, seen.errors) == (state, closed, phases, frozenset(errors))


def test_bender_measures_and_says_when_there_is_no_meter() -> None:
    measure = MODELS[N.BENDER_CC612].measure
    assert measure is not None
    currents, volts = "0000 3E80 " * 3, "0000 00E6 " * 3
    measured = measure(registers((3, 212, f"{currents} 0001 E240 0000 2B20 {volts}")))
    assert measured.current_a == (16.0, 16.0, 16.0)
    assert (measured.energy_import_wh, measured.power_w) == (123_456.0, 11_040.0)
    with pytest.raises(UnreadableError, match="no energy"):
        measure(registers((3, 212, f"{currents} FFFF FFFF 0000 2B20 {volts}")))


# ---- every model


def _reads(model: Model) -> tuple[Read, ...]:
    return (*model.identity, *model.polls, *model.measures)


@every_model
@given(data=st.data())
def test_arbitrary_registers_never_raise_anything_but_unreadable(name: ModelName, data: st.DataObject) -> None:
    model = MODELS[name]
    made = Registers()
    for read in _reads(model):
        made.store(read, data.draw(st.binary(min_size=read.data_size, max_size=read.data_size)))
    for look in (model.recognise, model.look, model.measure):
        if look is None:
            continue
        with contextlib.suppress(UnreadableError):
            look(made)


@every_model
def test_a_meter_or_another_device_is_not_recognised(name: ModelName) -> None:
    for fill in (b"\x00", b"\xff", b"\x43\x66"):
        made = Registers()
        for read in _reads(MODELS[name]):
            made.store(read, (fill * read.data_size)[: read.data_size])
        if name is N.BENDER_CC612 and fill == b"\x43\x66":
            continue  # that is text; it has nothing else to be known by
        with pytest.raises(UnreadableError, match="check 'model'"):
            MODELS[name].recognise(made)


@every_model
def test_what_is_written_is_read_back(name: ModelName) -> None:
    """Every setting that carries permission is read in each cycle; others at least once."""
    model = MODELS[name]
    read = {(r.function, r.address + i) for r in model.polls for i in range(r.count)}
    wishes = (HIGH, PAUSE, NOTHING)
    settings = [s for wish in wishes for s in model.command(Order(wish, True), Identity(), Registers())]
    for setting in settings:
        assert setting.momentary or model.readback.get(setting.place, setting.place) in read


@every_model
def test_descriptions_are_frozen_and_named_as_they_are_chosen(name: ModelName) -> None:
    model = MODELS[name]
    assert model.name == name.value
    assert model.summary
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.baud = 1  # type: ignore[misc]
