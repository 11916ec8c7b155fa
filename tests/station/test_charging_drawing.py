"""What an EVSE may still be drawing after its offer was lowered: unit by unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from station_world import Outlet, config

from agent.link.messages import MeterSample, Permit
from agent.station.drawing import FOLLOW_S, OPEN_S, Drawing
from agent.station.evse import Evse
from agent.station.session import Phase


class Place:
    """One EVSE at 16 A under permit 1, and the drawing that follows it."""

    def __init__(self):
        self.evse = Evse(1, config().evses[0])
        self.outlet = Outlet(1, plugged=True, closed=True)
        self.drawing = Drawing()
        self.now = 100.0
        self.permit(1, 16.0)
        self.control()

    def permit(self, serial, current_a):
        self.evse.permit = Permit(1, serial, current_a, 3, 60.0, "t") if serial else None
        self.evse.permit_at = self.now
        self.drawing.granted(current_a)

    def control(self, after_s=0.0):
        """Control takes up the permit and tells."""
        self.now += after_s
        self.outlet.permit = self.evse.permit
        self.evse.observe(self.outlet.observation(self.now))
        return self.most()

    def measure(self, current_a, at=None):
        at = self.now if at is None else at
        self.evse.measure(MeterSample(1, at, 1.0, None, (), (current_a, current_a, 0.0), None, "good"))
        return self.most()

    def most(self):
        self.drawing.follow(self.evse, self.now)
        return self.drawing.most_a


def test_more_counts_as_soon_as_it_is_granted():
    place = Place()
    assert place.most() == 16.0
    place.permit(2, 20.0)
    assert place.drawing.most_a == 20.0
    assert place.most() == 20.0


def test_less_counts_when_control_has_taken_it_up_and_the_meter_shows_it():
    place = Place()
    place.permit(2, 10.0)
    assert place.measure(9.0) == 16.0, "control has not lowered the offer yet"
    assert place.control(0.1) == 16.0
    assert place.measure(9.0, at=place.now - 0.05) == 16.0, "a reading of before says nothing"
    assert place.measure(11.0) == 16.0
    assert place.measure(10.3) == 10.0
    assert place.drawing.until is None


def test_less_counts_when_the_vehicle_has_had_its_time():
    place = Place()
    place.permit(2, 10.0)
    place.now += 60.0
    assert place.most() == 16.0, "the time begins when control lowers the offer"
    assert place.control() == 16.0
    assert place.drawing.until == place.now + FOLLOW_S
    place.now += FOLLOW_S - 0.1
    assert place.most() == 16.0
    place.permit(3, 8.0)
    place.control(0.0)
    assert place.drawing.until == place.now + FOLLOW_S, "lowered again: its time begins again"
    place.now += FOLLOW_S
    assert place.most() == 8.0


def test_raised_again_meanwhile():
    place = Place()
    place.permit(2, 10.0)
    place.control(0.1)
    place.permit(3, 12.0)
    assert place.most() == 16.0, "what was before still counts"
    place.control(0.1)
    assert place.measure(12.4) == 12.0


@pytest.mark.parametrize("closed", [True, False])
def test_withdrawn(closed):
    place = Place()
    place.permit(0, 0.0)
    assert place.most() == 16.0
    place.outlet.closed = closed
    assert place.control(0.1) == (16.0 if closed else 0.0)
    place.now += OPEN_S - 0.1
    assert place.most() == (16.0 if closed else 0.0)
    place.now += 0.2
    assert place.most() == 0.0


def test_after_our_restart_the_old_lease_counts():
    place = Place()
    place.evse.permit, place.evse.observation, place.drawing = None, None, Drawing()
    assert place.most() == 0.0, "nothing runs here"
    place.evse.session = type("Open", (), {"phase": Phase.RUNNING})()
    assert place.most() == 32.0, "it may be drawing anything"
    place.evse.observe(place.outlet.observation(place.now))
    assert place.most() == 32.0
    place.permit(7, 10.0)
    assert place.most() == 32.0, "control still offers 16 A under the old lease"
    place.control(0.1)
    assert place.measure(10.0) == 10.0


def test_the_old_offer_counts_until_the_first_permit_is_in_force():
    place = Place()
    place.evse.permit, place.drawing = None, Drawing()
    assert place.most() == 16.0
    place.permit(7, 10.0)
    assert place.most() == 16.0
    place.evse.observe(place.outlet.observation(place.now))
    assert place.most() == 16.0


def test_the_fail_safe_current_counts():
    place = Place()
    place.permit(2, 0.0)
    place.evse.permit = None
    place.evse.observe(replace(place.outlet.observation(place.now), offered_a=6.0, fail_safe=True, permit_serial=0))
    assert place.most() == 16.0
    assert place.drawing.until is None, "as long as anything is offered, it is not over"
