"""The signing half of a meter against the simulated one, in virtual time: whatever is lost on the way, no set is."""

from __future__ import annotations

import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from hal import ocmf
from hal.drivers import register_map
from hal.drivers.map_reading import MapError
from hal.drivers.meter_signing import MOST_FAILURES, SIGN_S, Signing
from hal.drivers.modbus.master import Unanswered
from hal.drivers.modbus.pdu import Answered, Read, Refused, WriteRegisters
from hal.ocmf import OcmfError
from hal.values import SignedMoment, SignedReading, SigningSession
from simulators.meters.modbus_kinds import OWN_MAPS, SIGNING
from simulators.meters.register import MeterCore, Sample
from simulators.meters.signing import CURVES, SigningCore

WALL_0 = 1_770_000_000.0
T1, T2 = "7f3a9c52-1111-4222-8333-444455556666", "0e1d2c3b-aaaa-4bbb-8ccc-ddddeeeeffff"


def session(transaction: str = T1) -> SigningSession:
    flags = ("RFID_PLAIN", "OCPP_AUTH")
    return SigningSession(transaction, True, "TRUSTED", flags, "ISO14443", "04A1B2C3", "DE*ABC*E1")


class Rig:
    """Driver and meter; ``loses`` tells whether the next answer gets lost."""

    def __init__(self, name: str = "em580", curve: str = "secp256r1") -> None:
        layout = register_map.load(str(OWN_MAPS.get(name, name))).signing
        assert layout is not None
        self.layout = layout
        self.core = MeterCore(12_345)
        self.meter = SigningCore(self.core, "S1", name == "signing-example", curve)
        self.driver = Signing(layout, "meter 1")
        self.now = 0.0
        self.loses = lambda: False
        self.hears = True
        self.got: list[SignedReading] = []

    def restart(self) -> None:
        self.driver = Signing(self.layout, "meter 1")

    def answer(self, request: object) -> object:
        if not self.hears or self.loses():
            return Unanswered(garbled=False)
        if isinstance(request, Read):
            data = self.meter.read(request.address, request.count, self.now)
            answer: object = Refused(2) if data is None else Answered(data)
        else:
            assert isinstance(request, WriteRegisters)
            done = self.meter.write(request.address, request.values, self.now, WALL_0 + self.now)
            answer = Answered() if done else Refused(3)
        return Unanswered(garbled=True) if self.loses() else answer

    def run(self, seconds: float, *, release: bool = True) -> None:
        until = self.now + seconds
        while self.now < until:
            request = self.driver.next(self.now)
            if request is not None:
                self.driver.became(self.answer(request), self.now)
            self.core.integrate(1.0, Sample())
            for held in self.driver.held():
                if held.key not in {one.key for one in self.got}:
                    self.got.append(held)
                if release:
                    self.driver.release(held.key)
            self.now = round(self.now + 0.05, 3)


def verify(reading: SignedReading) -> None:
    """Check the signature with nothing but the set and the public key. Raises InvalidSignature."""
    _, payload, end = reading.data.split("|")
    key = serialization.load_der_public_key(bytes.fromhex(reading.public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    _, signature = ocmf.parts(reading.data)
    del end
    key.verify(bytes.fromhex(signature["SD"]), payload.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("curve", CURVES)
def test_a_session_gives_one_set_that_verifies(curve: str) -> None:
    rig = Rig(curve=curve)
    rig.driver.begin(session())
    rig.run(3)
    state = rig.driver.state()
    assert state is not None
    assert (state.ready, state.separate, state.transaction, state.trouble) == (True, False, T1, "")
    rig.driver.end(T1)
    rig.run(5)
    (got,) = rig.got
    assert (got.transaction, got.moment, got.encoding, got.signing_method) == (T1, SignedMoment.SESSION, "OCMF", "")
    assert got.data == rig.meter.sets[0]
    assert got.public_key == rig.meter.public_key
    verify(got)
    payload, _ = ocmf.parts(got.data)
    assert (payload["IS"], payload["IL"], payload["IT"]) == (True, "TRUSTED", "ISO14443")
    assert payload["IF"][:2] == ["RFID_PLAIN", "OCPP_AUTH"]
    assert (payload["ID"], payload["CI"]) == ("04A1B2C3", "DE*ABC*E1")
    assert [reading["TX"] for reading in payload["RD"]] == ["B", "E"]
    assert rig.meter.state == 0
    assert "".join(rig.meter.commands) == "BE"


def test_a_meter_that_signs_each_reading() -> None:
    rig = Rig("signing-example")
    rig.driver.begin(session())
    rig.run(3)
    rig.driver.read_now()
    rig.run(3)
    rig.driver.end(T1)
    rig.run(3)
    assert [one.moment for one in rig.got] == [SignedMoment.BEGIN, SignedMoment.UPDATE, SignedMoment.END]
    for one in rig.got:
        verify(one)


@given(at=st.integers(0, 10_000), byte=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_one_altered_byte_and_no_signature_fits(at: int, byte: int) -> None:
    whole = ALTERED.data.encode()
    place = len("OCMF|") + at % (whole.rindex(b"|") - len("OCMF|"))
    spoilt = bytearray(whole)
    spoilt[place] ^= byte
    try:
        text = spoilt.decode()
        verify(SignedReading(0, "", T1, SignedMoment.SESSION, text, public_key=ALTERED.public_key))
    except (InvalidSignature, UnicodeDecodeError, OcmfError, ValueError):
        return
    pytest.fail(f"byte {place} was altered and the signature still fits")


def _one_set() -> SignedReading:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.driver.end(T1)
    rig.run(5)
    return rig.got[0]


ALTERED = _one_set()


@pytest.mark.parametrize("name", SIGNING)
@given(seed=st.integers(0, 2**32), share=st.floats(0.0, 0.3), restarts=st.lists(st.floats(0, 60), max_size=4))
@settings(max_examples=25, deadline=None)
def test_loss_and_restarts_cost_no_set_and_begin_nothing_twice(
    name: str, seed: int, share: float, restarts: list[float]
) -> None:
    rig = Rig(name)
    dice = random.Random(seed)
    rig.loses = lambda: dice.random() < share
    rig.driver.begin(session())
    for at in sorted(restarts):
        rig.run(max(0.0, at - rig.now))
        rig.restart()
        rig.driver.begin(session())  # the agent says it again to a control that is new
    rig.run(max(0.0, 90 - rig.now))
    rig.driver.end(T1)
    rig.run(60)
    rig.loses = lambda: False
    rig.run(60)
    assert rig.driver.state().failed in ("", T1)  # type: ignore[union-attr]
    got = [one.data for one in rig.got]
    assert set(got) == set(rig.meter.sets)
    assert rig.meter.commands.count("B") == 1
    if rig.driver.state().failed == "":  # type: ignore[union-attr]
        assert sum(one.moment in (SignedMoment.END, SignedMoment.SESSION) for one in rig.got) == 1
    for one in rig.got:
        assert one.transaction == T1
        verify(one)


def test_a_set_stays_in_the_meter_until_it_is_released() -> None:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.driver.end(T1)
    rig.run(5, release=False)
    assert len(rig.got) == 1
    rig.restart()  # control was killed before the agent had the set
    rig.got.clear()
    rig.run(5, release=False)
    assert [one.transaction for one in rig.got] == [T1]
    rig.driver.begin(session(T2))
    rig.run(5, release=False)
    assert "".join(rig.meter.commands) == "BE"  # the next session waits for it
    rig.run(5)
    assert "".join(rig.meter.commands) == "BEB"
    assert rig.driver.state().transaction == T2  # type: ignore[union-attr]


def test_a_session_of_another_is_ended_and_its_set_told() -> None:
    rig = Rig()
    rig.driver.begin(session(T1))
    rig.run(3)
    rig.restart()
    rig.driver.begin(session(T2))
    rig.run(10)
    assert [one.transaction for one in rig.got] == [T1]
    assert rig.driver.state().transaction == T2  # type: ignore[union-attr]
    assert "".join(rig.meter.commands) == "BEB"


def test_a_meter_that_lost_its_supply_closed_the_session_and_a_second_one_follows() -> None:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.meter.power_lost(WALL_0 + rig.now)
    rig.run(10)
    assert [one.moment for one in rig.got] == [SignedMoment.SESSION]
    assert rig.driver.state().transaction == T1  # type: ignore[union-attr]
    rig.driver.end(T1)
    rig.run(5)
    assert [ocmf.parts(one.data)[0]["RD"][-1]["TX"] for one in rig.got] == ["P", "E"]


def test_a_meter_that_never_signs_is_given_up() -> None:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.meter.never = True
    rig.driver.end(T1)
    rig.run(SIGN_S + 1)
    assert "signed nothing within 30 s" in rig.driver.state().trouble  # type: ignore[union-attr]
    rig.run((SIGN_S + 5) * MOST_FAILURES)
    assert rig.driver.state().failed == T1  # type: ignore[union-attr]
    rig.meter.never = False
    rig.run(10)
    assert [one.transaction for one in rig.got] == [T1]  # late, and not thrown away


def test_a_corrupted_set_fails_at_once() -> None:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.meter.corrupt = True
    rig.driver.end(T1)
    rig.run(5)
    assert rig.driver.state().failed == T1  # type: ignore[union-attr]
    assert rig.got == []


def test_a_silent_meter_is_told_and_goes_on_when_it_is_back() -> None:
    rig = Rig()
    rig.hears = False
    rig.driver.begin(session())
    rig.run(10)
    assert "does not answer" in rig.driver.state().trouble  # type: ignore[union-attr]
    assert not rig.driver.state().ready  # type: ignore[union-attr]
    rig.hears = True
    rig.run(10)
    assert (rig.driver.state().transaction, rig.driver.state().trouble) == (T1, "")  # type: ignore[union-attr]


def test_the_clock_is_set_between_sessions_only() -> None:
    rig = Rig()
    rig.driver.begin(session())
    rig.run(3)
    rig.driver.set_clock(WALL_0 + rig.now + 100, 60, rig.now)
    rig.run(10)
    assert rig.meter.clock_offset_s is None
    rig.driver.end(T1)
    rig.run(10)
    assert rig.meter.clock_offset_s == pytest.approx(100, abs=1.0)
    rig.driver.begin(session(T2))
    rig.run(3)
    rig.driver.end(T2)
    rig.run(5)
    first, second = (ocmf.parts(one.data)[0]["RD"][0]["TM"] for one in rig.got)
    assert first.endswith("+0000 U")
    assert second.endswith("+0100 S")


def test_what_no_set_can_hold_is_kept_out() -> None:
    rig = Rig()
    rig.driver.begin(SigningSession(T1, True, "?", ("?",), "?", "a|b€" * 30, "x" * 99))
    rig.run(3)
    rig.driver.end(T1)
    rig.run(5)
    payload, _ = ocmf.parts(rig.got[0].data)
    assert payload["ID"] == ("a b?" * 30)[:39]
    assert (payload["IT"], payload["IL"], payload["CI"]) == ("UNDEFINED", "NONE", "x" * 39)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("OCMF|{}", "not OCMF"),
        ("XCMF|{}|{}", "not OCMF"),
        ("OCMF|{|{}", "no JSON"),
        ("OCMF|[]|{}", "no objects"),
        ('OCMF|{}|{"SA":"x"}', "no signature"),
    ],
)
def test_what_is_no_set_is_refused(text: str, why: str) -> None:
    with pytest.raises(OcmfError, match=why):
        ocmf.parts(text)


@pytest.mark.parametrize(
    ("reasons", "moment"),
    [
        (["B", "E"], SignedMoment.SESSION),
        (["B", None, "L"], SignedMoment.SESSION),
        (["B"], SignedMoment.BEGIN),
        (["C"], SignedMoment.UPDATE),
        (["B", "X"], SignedMoment.UPDATE),
        (["R"], SignedMoment.END),
        (["B", "P"], SignedMoment.SESSION),
    ],
)
def test_moment_by_the_reasons_of_the_readings(reasons: list[str | None], moment: SignedMoment) -> None:
    assert ocmf.moment_of({"RD": [{"TX": reason} if reason else {"RV": 1} for reason in reasons]}) is moment


def test_a_set_without_reasons_says_nothing() -> None:
    with pytest.raises(OcmfError, match="TX"):
        ocmf.moment_of({"RD": [{"RV": "1"}]})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": {"address": 1, "idle": 0, "running": 0, "ready": 2, "corrupted": 3}}, "two states"),
        ({"sets": "both"}, "none of session, reading"),
        ({"sets": "reading"}, "command.read is missing"),
        ({"fields": {"level": 1}}, "fields.text is missing"),
        ({"zeros": [-1]}, "zeros"),
        ({"public_key": {"address": 1, "words": []}}, "words"),
        ({"odd": 1}, "unknown: odd"),
    ],
)
def test_a_map_that_breaks_a_rule_says_which(change: dict[str, object], why: str) -> None:
    signing = {
        "state": {"address": 1, "idle": 0, "running": 1, "ready": 2, "corrupted": 3},
        "command": {"address": 2, "begin": 66, "end": 69},
        "file": {"address": 10, "words": 100, "size": 3},
        "public_key": {"address": 200, "words": [46]},
        "fields": {"text": {"address": 300, "words": 40}},
    }
    content = {"values": {"energy_import_wh": {"address": 0, "type": "float32"}}, "signing": {**signing, **change}}
    with pytest.raises(MapError, match=why):
        register_map.parse(content, "mine.yaml")
