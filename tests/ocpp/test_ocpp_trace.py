"""Frames are looked at while somebody looks, masked; answers are timed always."""

from __future__ import annotations

from agent.ocpp.trace import REMEMBERED, Trace


def test_answers_are_timed_by_their_id():
    now = 0.0
    trace = Trace(lambda: now)
    trace.sent('[2,"a","Heartbeat",{}]')
    trace.sent('[2,"b","Authorize",{"idTag":"X"}]')
    now = 1.5
    trace.received('[4,"b","GenericError","",{}]')
    now = 2.0
    trace.received('[3,"a",{}]')
    trace.received('[3,"a",{}]')
    assert [(each.action, each.took_s, each.refused) for each in trace.answered] == [
        ("Authorize", 1.5, True),
        ("Heartbeat", 2.0, False),
    ]


def test_the_networks_calls_and_noise_are_not_timed_and_nothing_grows():
    trace = Trace(lambda: 0.0)
    for number in range(100):
        trace.received(f'[2,"{number}","Reset",{{}}]')
        trace.sent(f'[2,"{number}","Heartbeat",{{}}]')
    for noise in (b"\x00\x01", "", "[[[", '[3,"zz",{}]', "[3]"):
        trace.received(noise)
    assert len(trace.answered) == 0
    for number in range(100):
        trace.sent(f'[2,"n{number}","Heartbeat",{{}}]')
        trace.received(f'[3,"n{number}",{{}}]')
    assert len(trace.answered) == REMEMBERED
    assert len(trace._open) <= 8


def test_a_listener_gets_no_secret_and_no_whole_identifier():
    seen: list[tuple[bool, str]] = []
    trace = Trace(lambda: 0.0)
    trace.sent('[2,"a","Authorize",{"idTag":"04A1B2C3D4E5"}]')
    trace.listener = lambda out, frame: seen.append((out, frame))
    trace.sent('[2,"a","Authorize",{"idTag":"04A1B2C3D4E5"}]')
    trace.received('[2,"b","ChangeConfiguration",{"key":"AuthorizationKey","value":"hush"}]')
    assert [out for out, _ in seen] == [True, False]
    assert "04A1B2C3D4E5" not in seen[0][1]
    assert "Authorize" in seen[0][1]
    assert "hush" not in seen[1][1]
