"""Signed meter values: every key acts, nothing waits for ever, and no set is lost, whatever restarts in between."""

from __future__ import annotations

import dataclasses

import pytest
from station_world import World

from agent.journal.events import Context, MeterSampled, MeterSigned, TransactionEnded
from agent.link.messages import PROTOCOL, EvseInfo, Welcome
from agent.link.signing import BeginSigning, EndSigning, MeterClock, SignedKept, SignedSet, SigningReport, SignReading
from agent.station.commands import SettingAnswer
from agent.station.signing import MOST_BYTES, SIGN_WAIT_S

ON = {"SampledDataCtrlr.SignReadings": "true"}
KEY = "3059aa"
REGISTER = "Energy.Active.Import.Register"


class SigningWorld(World):
    """With a meter that signs: at once, or (``signs`` False) never."""

    def __init__(self, settings=None, *, separate=False, signs=True, **extra):
        self.separate, self.signs = separate, signs
        self.meter_for = ""
        self.held = []
        self.heard = []
        self.made = 0
        super().__init__(settings={**ON, **(settings or {})}, **extra)

    def welcome(self):
        infos = tuple(EvseInfo(n, 32.0, 3, evse.socket, True, True) for n, evse in self.station_evses())
        self.do(self.station.handle(Welcome(PROTOCOL, self.instance, "1", infos), self.moment()))
        self.report()
        for one in self.held:
            self.hand(one)
        self.observe()

    def report(self, **changes):
        report = SigningReport(1, self.now, True, self.separate, KEY, self.meter_for, "", "")
        self.do(self.station.handle(dataclasses.replace(report, **changes), self.moment()))

    def hand(self, one):
        self.do(self.station.handle(one, self.moment()))

    def sign(self, moment, data="", transaction=None):
        self.made += 1
        whose = self.meter_for if transaction is None else transaction
        text = data or f"OCMF|{{{self.made}}}|{{}}"
        one = SignedSet(1, self.now, f"k{self.made}", whose, moment, text, "OCMF", "", KEY)
        self.held.append(one)
        if self.control_there:
            self.hand(one)

    def command(self, message):
        self.heard.append(message)
        match message:
            case BeginSigning(_, transaction):
                if self.meter_for != transaction:
                    self.meter_for = transaction
                    self.report()
                    if self.separate:
                        self.sign("begin")
            case SignReading():
                if self.signs:
                    self.sign("update")
            case EndSigning(_, transaction):
                if self.signs and self.meter_for == transaction:
                    self.sign("end" if self.separate else "session")
                    self.meter_for = ""
                    self.report()
            case SignedKept(_, key):
                self.held = [one for one in self.held if one.key != key]
            case MeterClock():
                pass
            case _:
                super().command(message)

    def charge(self, seconds=60.0):
        self.plug()
        self.run(2)
        self.tap()
        self.run(seconds)
        return self

    def leave(self, seconds=40.0):
        self.unplug()
        self.run(seconds)
        return self

    def told(self, kind):
        return [message for message in self.heard if isinstance(message, kind)]

    def signed(self):
        return [event for event in self.records if isinstance(event, MeterSigned)]


def test_a_session_is_signed_and_its_set_goes_with_the_end():
    world = SigningWorld().charge().leave()
    (begun,) = world.told(BeginSigning)
    assert (begun.identified, begun.level, begun.flags, begun.id_type) == (True, "HEARSAY", ("RFID_PLAIN",), "ISO14443")
    assert begun.id_data == "04AABBCC"
    assert begun.transaction == world.started()[0].transaction
    (value,) = world.ended()[0].signed
    assert (value.context, value.data, value.encoding) == (Context.TRANSACTION_END, "OCMF|{1}|{}", "OCMF")
    assert value.public_key == KEY
    assert world.held == []
    assert world.signed() == []


def test_signing_begins_before_energy_flows():
    world = SigningWorld().charge()
    kinds = [type(message).__name__ for message in world.heard]
    assert kinds.index("BeginSigning") >= 0
    assert len(world.told(EndSigning)) == 0
    world.unplug()
    world.run(1)
    assert world.told(EndSigning)  # contacts are open
    assert not world.outlets[1].closed


@pytest.mark.parametrize("room", ["SampledDataCtrlr", "AlignedDataCtrlr"])
def test_either_switch_signs_and_without_them_nothing_is(room):
    off = {"SampledDataCtrlr.SignReadings": "false"}
    assert SigningWorld({**off, f"{room}.SignReadings": "true"}).charge().leave().ended()[0].signed
    world = SigningWorld(off).charge().leave()
    assert world.told(BeginSigning) == []
    assert world.ended()[0].signed == ()


def test_begin_and_end_in_sets_of_their_own_both_go_with_the_end():
    world = SigningWorld(separate=True).charge().leave()
    begin, end = world.ended()[0].signed
    assert (begin.context, end.context) == (Context.TRANSACTION_BEGIN, Context.TRANSACTION_END)
    assert begin.ago_s == pytest.approx(60, abs=2)
    assert end.ago_s == 0.0
    assert (begin.public_key, end.public_key) == (KEY, "")  # once per transaction


@pytest.mark.parametrize(
    ("mode", "keys"), [("Never", ["", ""]), ("OncePerTransaction", [KEY, ""]), ("EveryMeterValue", [KEY, KEY])]
)
def test_public_key_with_signed_meter_value(mode, keys):
    world = SigningWorld({"OCPPCommCtrlr.PublicKeyWithSignedMeterValue": mode}, separate=True).charge().leave()
    assert [value.public_key for value in world.ended()[0].signed] == keys
    world.charge(5).leave()
    assert [value.public_key for value in world.ended()[1].signed] == keys


def test_values_right_after_the_start():
    plain = SigningWorld({"SampledDataCtrlr.TxStartedMeasurands": f"{REGISTER},Voltage"}, separate=True).charge(5)
    (first,) = [event for event in plain.records if isinstance(event, MeterSampled)]
    assert {value.context for value in first.samples} == {Context.TRANSACTION_BEGIN}
    assert plain.records.index(first) == 1
    assert plain.signed() == []
    both = {"SampledDataCtrlr.TxStartedMeasurands": REGISTER, "SampledDataCtrlr.SignStartedReadings": "true"}
    world = SigningWorld(both, separate=True).charge(5)
    (event,) = world.signed()
    assert event.signed[0].context is Context.TRANSACTION_BEGIN
    assert world.stamps[world.records.index(event)] == world.stamps[0]
    no_list = SigningWorld({"SampledDataCtrlr.SignStartedReadings": "true"}, separate=True).charge(5)
    assert no_list.signed() == []


@pytest.mark.parametrize(
    ("settings", "context"),
    [
        ({"SampledDataCtrlr.TxUpdatedInterval": "20"}, None),
        (
            {"SampledDataCtrlr.TxUpdatedInterval": "20", "SampledDataCtrlr.SignUpdatedReadings": "true"},
            Context.SAMPLE_PERIODIC,
        ),
        (
            {
                "SampledDataCtrlr.TxUpdatedInterval": "20",
                "SampledDataCtrlr.SignUpdatedReadings": "true",
                "SampledDataCtrlr.TxUpdatedMeasurands": "Voltage",
            },
            None,
        ),
        ({"AlignedDataCtrlr.Interval": "20", "AlignedDataCtrlr.SignUpdatedReadings": "true"}, None),
        (
            {
                "AlignedDataCtrlr.Interval": "20",
                "AlignedDataCtrlr.SignReadings": "true",
                "AlignedDataCtrlr.SignUpdatedReadings": "true",
                "SampledDataCtrlr.TxUpdatedInterval": "0",
            },
            Context.SAMPLE_CLOCK,
        ),
    ],
)
def test_signed_samples_between(settings, context):
    world = SigningWorld(settings, separate=True).charge(70)
    found = [value.context for event in world.signed() for value in event.signed]
    assert found == ([context] * len(found) if context else [])
    assert len(found) >= (3 if context else 0)


def test_a_meter_of_one_set_is_not_asked_between():
    world = SigningWorld({"SampledDataCtrlr.SignUpdatedReadings": "true", "SampledDataCtrlr.TxUpdatedInterval": "5"})
    world.charge(30)
    assert world.told(SignReading) == []


def test_a_meter_that_does_not_sign_delays_the_end_but_not_for_ever(caplog):
    world = SigningWorld(signs=False).charge()
    register = world.outlets[1].register_wh
    world.leave(SIGN_WAIT_S - 2)
    assert world.ended() == []
    world.run(5)
    (end,) = world.ended()
    assert end.signed == ()
    assert end.meter_wh == pytest.approx(register, abs=1)
    assert not end.meter_stale
    assert "did not sign" in caplog.text


def test_a_meter_that_says_it_cannot_is_not_waited_for():
    world = SigningWorld(signs=False).charge()
    world.unplug()
    world.run(2)
    world.report(failed=world.started()[0].transaction, trouble="corrupted")
    assert world.ended()[0].signed == ()


def test_what_is_signed_late_is_told_and_once():
    world = SigningWorld(signs=False).charge().leave()
    transaction = world.ended()[0].transaction
    world.sign("session", transaction=transaction)
    world.hand(SignedSet(1, world.now, "k1", transaction, "session", "OCMF|{1}|{}", "OCMF", "", KEY))
    (event,) = world.signed()
    assert (event.transaction, event.signed[0].data) == (transaction, "OCMF|{1}|{}")
    assert len(world.told(SignedKept)) == 2


def test_a_set_of_nobody_is_confirmed_and_not_told():
    world = SigningWorld()
    world.sign("session", transaction="")
    assert world.records == []
    assert world.held == []


def test_a_meter_that_lost_its_supply_leaves_two_sets():
    world = SigningWorld().charge()
    transaction, world.meter_for = world.meter_for, ""
    world.sign("session", transaction=transaction)
    world.report()
    world.run(20)
    assert len(world.told(BeginSigning)) == 2
    world.leave()
    first, second = world.ended()[0].signed
    assert (first.context, second.context) == (Context.INTERRUPTION_BEGIN, Context.TRANSACTION_END)
    assert first.data != second.data


@pytest.mark.parametrize("what", ["agent", "control", "both"])
@pytest.mark.parametrize("separate", [False, True])
def test_restarts_in_between_lose_nothing(what, separate):
    world = SigningWorld(separate=separate).charge()
    for _ in range(2):
        if what != "agent":
            world.restart_control()
        if what != "control":
            world.restart_agent()
        world.run(10)
    world.unplug()
    world.run(0.5)
    world.restart_agent()  # while the end is being signed
    world.run(10)
    (end,) = world.ended()
    assert [value.context for value in end.signed][-1] is Context.TRANSACTION_END
    assert len(end.signed) == (2 if separate else 1)
    assert world.held == []
    assert len({value.data for value in end.signed}) == len(end.signed)


def test_a_session_that_nobody_waits_for_is_ended():
    world = SigningWorld()
    world.meter_for = "ghost"
    world.report()
    world.run(2)
    assert [message.transaction for message in world.told(EndSigning)] == ["ghost"]


def test_a_set_too_long_for_the_end_goes_by_itself():
    world = SigningWorld(signs=False).charge()
    world.unplug()
    world.run(3)
    world.sign("session", data="OCMF|" + "x" * MOST_BYTES + "|{}", transaction=world.meter_for)
    world.run(5)
    assert world.ended()[0].signed == ()
    assert len(world.signed()[0].signed[0].data) > MOST_BYTES
    kinds = [type(event) for event in world.records]
    assert kinds.index(TransactionEnded) < kinds.index(MeterSigned)


def test_free_vend_names_nobody():
    from station_world import config

    world = SigningWorld(configuration=config(free_vend=True))
    world.plug()
    world.run(5)
    (begun,) = world.told(BeginSigning)
    assert (begun.identified, begun.level, begun.id_type, begun.id_data) == (False, "NONE", "NONE", "")


def test_the_meters_clock_is_set_when_ours_is_sure_and_no_session_runs():
    world = SigningWorld()
    (first,) = world.told(MeterClock)
    assert first.utc_s - first.at == pytest.approx(world.utc_offset)
    world.call("set_setting", "ClockCtrlr.TimeOffset", "+02:00")
    assert world.told(MeterClock)[-1].offset_min == 120
    world.charge(4000)
    assert len(world.told(MeterClock)) == 2
    world.leave()
    assert len(world.told(MeterClock)) == 3


def test_the_public_key_is_known_while_the_meter_is_silent(caplog):
    world = SigningWorld()
    assert world.station.meter_public_key(1) == KEY
    world.control_there = False
    world.restart_agent()
    assert world.station.meter_public_key(1) == KEY
    world.control_there = True
    world.welcome()
    world.report(public_key="ffff")
    assert "another key than before" in caplog.text
    assert world.station.meter_public_key(1) == "ffff"
    assert world.station.meter_public_key(9) == ""


def test_a_switch_that_would_change_nothing_is_refused():
    plain = World()
    for name in ("SampledDataCtrlr.SignReadings", "AlignedDataCtrlr.SignReadings"):
        assert plain.call("set_setting", name, "true") is SettingAnswer.REJECTED
        assert plain.call("set_setting", name, "false") is SettingAnswer.ACCEPTED
    between = (
        "SampledDataCtrlr.SignStartedReadings",
        "SampledDataCtrlr.SignUpdatedReadings",
        "AlignedDataCtrlr.SignUpdatedReadings",
    )
    one_set, separate = SigningWorld(), SigningWorld(separate=True)
    for name in between:
        assert plain.call("set_setting", name, "true") is SettingAnswer.REJECTED
        assert one_set.call("set_setting", name, "true") is SettingAnswer.REJECTED
        assert separate.call("set_setting", name, "true") is SettingAnswer.ACCEPTED
        assert separate.kept["setting"][name] == "true"
    assert one_set.call("set_setting", "AlignedDataCtrlr.SignReadings", "true") is SettingAnswer.ACCEPTED
    mode = "OCPPCommCtrlr.PublicKeyWithSignedMeterValue"
    assert one_set.call("set_setting", mode, "Sometimes") is SettingAnswer.REJECTED
    assert one_set.call("set_setting", mode, "Never") is SettingAnswer.ACCEPTED
