"""The update machine in virtual time: the ways it may go by table, and any way at all by hypothesis."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import Moment
from agent.update import order as do
from agent.update.machine import MAX_INSTALLS, Facts, Machine, Phase, Rules
from agent.update.order import FirmwareStatus as Status
from agent.update.order import InstallResult, Order, OrderAnswer

EPOCH = 1_800_000_000.0
LAST = (
    Status.INSTALLED,
    Status.INSTALLATION_FAILED,
    Status.INSTALL_VERIFICATION_FAILED,
    Status.DOWNLOAD_FAILED,
    Status.INVALID_SIGNATURE,
)


@dataclass
class World:
    """A charge point whose agent can be ended and started at any time."""

    rules: Rules = field(default_factory=lambda: Rules(True, True, 900.0))
    now: float = 1000.0
    busy: bool = False
    healthy: bool = True
    new_sessions: bool = False
    kept: str = "null"
    told: list[Status] = field(default_factory=list)
    did: list[tuple[float, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    held: bool = False
    file: bool = False
    checked: bool = False
    doing: str = ""
    """What is under way and will be answered: Download, Verify, Install, Confirm, RollBack."""

    def __post_init__(self) -> None:
        self.machine = Machine(self.rules, None)

    @property
    def facts(self) -> Facts:
        moment = Moment(self.now, self.now + EPOCH, True, "boot")
        return Facts(moment, self.busy, self.healthy, new_sessions=self.new_sessions)

    def carry_out(self, actions: list[do.Action]) -> None:
        for action in actions:
            if isinstance(action, do.Keep):
                self.kept = json.dumps(action.document)
            elif isinstance(action, do.Tell):
                self.told.append(action.status)
        for action in actions:
            match action:
                case do.HoldBack(on):
                    assert on is not self.held
                    self.held = on
                case do.Report(event, _):
                    self.events.append(event)
                case do.Discard():
                    self.file = self.checked = False
                case do.CallOff():
                    self.doing = ""
                case do.Download() | do.Verify() | do.Install() | do.Confirm() | do.RollBack() | do.RestartNow():
                    self._begin(type(action).__name__)
                case _:
                    pass

    def _begin(self, what: str) -> None:
        assert self.doing == "", f"{what} while {self.doing} is under way"
        self.did.append((self.now, what))
        if what == "Install":
            # The promise of this room: never under a session, never what was not fetched and checked.
            assert not self.busy
            assert self.held
            assert self.file
            assert self.checked or self.machine.order is None or not self.machine.order.signed
        self.doing = what if what != "RestartNow" else ""
        if what == "RestartNow":
            self.restart()

    def order(self, **fields: Any) -> OrderAnswer:
        values = {"location": "https://x/fw", "retrieve_utc_s": EPOCH + self.now, **fields}
        answer, actions = self.machine.ordered(Order(**values), self.facts)
        self.carry_out(actions)
        return answer

    def downloaded(self, problem: str = "", final: bool = False) -> None:
        assert self.doing == "Download"
        self.doing, self.file = "", not problem
        self.carry_out(self.machine.download_ended(problem, final, self.facts))

    def verified(self, problem: str = "") -> None:
        assert self.doing == "Verify"
        self.doing, self.checked = "", not problem
        self.carry_out(self.machine.verified(problem, self.facts))

    def installed(self, result: InstallResult = InstallResult.INSTALLED) -> None:
        assert self.doing == "Install"
        self.doing = ""
        self.carry_out(self.machine.installed(result))

    def confirmed(self, running: bool = True) -> None:
        assert self.doing == "Confirm"
        self.doing = ""
        self.carry_out(self.machine.confirmed(running, self.facts))

    def rolled_back(self, restart: bool = True) -> None:
        assert self.doing == "RollBack"
        self.doing = ""
        self.carry_out(self.machine.rolled_back(restart))

    def step(self, seconds: float = 0.0) -> None:
        """Let time pass, waking the machine as it asks."""
        until = self.now + seconds
        while (wake := self.machine.next_wake(self.facts.moment)) is not None and wake <= until and not self.doing:
            self.now = max(self.now, wake)
            before = len(self.did), len(self.told)
            self.carry_out(self.machine.step(self.facts))
            if (len(self.did), len(self.told)) == before and self.machine.next_wake(self.facts.moment) == wake:
                raise AssertionError("the machine asks to be woken and does nothing")
        self.now = until
        self.carry_out(self.machine.step(self.facts))

    def restart(self) -> None:
        """The agent ends without a word, and starts again with what was kept."""
        self.doing, self.held, self.now = "", False, self.now + 5.0
        kept = json.loads(self.kept)
        self.machine = Machine(self.rules, kept)
        self.carry_out(self.machine.recovered(self.facts))


def signed(**fields: Any) -> dict[str, Any]:
    return {"request": 7, "certificate": "PEM", "signature": "AAAA", **fields}


def test_the_plain_way() -> None:
    world = World()
    assert world.order() is OrderAnswer.ACCEPTED
    world.downloaded()
    assert world.held
    world.installed()
    assert world.told == [Status.DOWNLOADING, Status.DOWNLOADED, Status.INSTALLING, Status.INSTALLED]
    assert (world.held, world.kept, world.events) == (False, "null", ["FirmwareUpdated"])
    assert world.machine.status is Status.IDLE


def test_dates_of_retrieval_and_installation_are_kept() -> None:
    world = World()
    world.order(**signed(retrieve_utc_s=EPOCH + world.now + 3600, install_utc_s=EPOCH + world.now + 10_000))
    world.step(3599)
    assert (world.told, world.did) == ([Status.DOWNLOAD_SCHEDULED], [])
    world.step(1)
    world.downloaded()
    world.verified()
    assert world.told[-2:] == [Status.SIGNATURE_VERIFIED, Status.INSTALL_SCHEDULED]
    world.step(6399)
    assert (world.doing, world.held) == ("", False)
    world.step(1)
    assert world.doing == "Install"
    assert [at for at, what in world.did if what in ("Download", "Install")] == [4600.0, 11_000.0]


def test_it_waits_for_sessions_and_takes_what_is_free_out_of_service() -> None:
    world = World(busy=True)
    world.order()
    world.downloaded()
    assert (world.held, world.doing, world.machine.status) == (True, "", Status.INSTALL_SCHEDULED)
    world.step(86_400)
    assert world.doing == ""
    world.busy = False
    world.step()
    assert world.doing == "Install"


def test_where_new_sessions_are_allowed_nothing_is_held_back_before_the_last_has_ended() -> None:
    """L01.FR.07, L02.FR.04 (AllowNewSessionsPendingFirmwareUpdate)"""
    world = World(busy=True, new_sessions=True)
    world.order()
    world.downloaded()
    assert (world.held, world.doing, world.machine.status) == (False, "", Status.INSTALL_SCHEDULED)
    world.new_sessions = False
    world.step()
    assert (world.held, world.doing) == (True, "")
    world.new_sessions = True
    world.step()
    assert (world.held, world.doing) == (False, "")
    world.busy = False
    world.step()
    assert (world.held, world.doing) == (True, "Install")
    world.installed()
    assert world.held is False


def test_retries_and_their_interval_are_kept() -> None:
    world = World()
    world.order(retries=2, interval_s=100.0)
    for _ in range(3):
        assert world.doing == "Download"
        world.downloaded("cut")
        world.step(100)
    assert [at for at, what in world.did if what == "Download"] == [1000.0, 1100.0, 1200.0]
    assert world.told.count(Status.DOWNLOADING) == 3
    assert world.told[-1] is Status.DOWNLOAD_FAILED
    world = World()
    world.order(retries=5)
    world.downloaded("too large", final=True)
    assert world.told[-1] is Status.DOWNLOAD_FAILED


def test_a_bad_signature_ends_it_before_anything_is_touched() -> None:
    world = World()
    world.order(**signed())
    world.downloaded()
    world.verified("wrong")
    assert world.told[-1] is Status.INVALID_SIGNATURE
    assert world.events == ["InvalidFirmwareSignature"]
    assert (world.file, world.held) == (False, False)


def test_another_order_takes_the_place_until_the_installation_has_begun() -> None:
    world = World(busy=True)
    world.order(location="https://x/1")
    assert world.order(location="https://x/1") is OrderAnswer.ACCEPTED  # told twice
    assert world.order(location="https://x/2") is OrderAnswer.REPLACED
    world.downloaded()
    assert world.held
    assert world.order(location="https://x/3") is OrderAnswer.REPLACED
    assert not world.held, "the EVSEs wait in service for the download of the new one"
    world.downloaded()
    world.busy = False
    world.step()
    assert world.order(location="https://x/4") is OrderAnswer.REJECTED
    world.installed()
    assert world.told[-1] is Status.INSTALLED


def test_a_new_version_that_needs_a_restart_proves_itself() -> None:
    world = World()
    world.order()
    world.downloaded()
    world.healthy = False
    world.installed(InstallResult.RESTART_NEEDED)
    assert world.machine.phase is Phase.PROVING
    assert (world.held, world.doing) == (True, "")
    world.step(60)
    world.healthy = True
    world.step()
    world.confirmed()
    assert world.told[-2:] == [Status.INSTALL_REBOOTING, Status.INSTALLED]
    assert not world.held


def test_one_that_does_not_become_healthy_is_taken_back() -> None:
    world = World()
    world.order()
    world.downloaded()
    world.healthy = False
    world.installed(InstallResult.RESTART_NEEDED)
    world.step(900)
    assert world.doing == "RollBack"
    world.rolled_back()
    assert world.told[-1] is Status.INSTALLATION_FAILED
    assert world.did[-1][1] == "RestartNow"
    assert (world.held, world.kept) == (False, "null")


def test_one_good_look_is_no_proof() -> None:
    """Control tells only every 10 s how punctual its loop was: what is late is found out a while after the start."""
    world = World(rules=Rules(True, True, 900.0, 20.0))
    world.order()
    world.downloaded()
    world.installed(InstallResult.RESTART_NEEDED)
    assert world.doing == "", "it looked well for a moment, and was kept for that"
    world.step(10)
    world.healthy = False
    world.step()
    world.step(15)
    world.healthy = True
    world.step()
    world.step(19)
    assert world.doing == ""
    world.step(1)
    assert world.doing == "Confirm"
    world.confirmed()
    assert world.told[-1] is Status.INSTALLED


def test_one_that_is_well_now_and_then_is_taken_back_when_its_time_is_up() -> None:
    world = World(rules=Rules(True, True, 900.0, 20.0))
    world.order()
    world.downloaded()
    world.healthy = False
    world.installed(InstallResult.RESTART_NEEDED)
    for _ in range(45):
        assert world.doing == ""
        for world.healthy in (True, False):
            world.step()
            world.step(10)
    assert world.doing == "RollBack"


def test_the_boot_loader_went_back_by_itself() -> None:
    world = World()
    world.order()
    world.downloaded()
    world.installed(InstallResult.RESTART_NEEDED)
    world.confirmed(running=False)
    assert world.told[-1] is Status.INSTALLATION_FAILED


def test_an_installation_cut_short_is_begun_once_more() -> None:
    world = World(rules=Rules(False, False, 900.0))
    world.order()
    world.downloaded()
    world.restart()
    assert world.doing == "Install"
    world.restart()
    assert world.told[-1] is Status.INSTALLATION_FAILED
    assert [what for _, what in world.did].count("Install") == MAX_INSTALLS


def test_a_document_that_cannot_be_read_is_no_update() -> None:
    for kept in ({}, {"order": 1}, {"order": {"location": "x"}, "phase": "nonsense"}):
        machine = Machine(Rules(True, True, 900.0), kept)
        assert machine.status is Status.IDLE
        assert machine.recovered(World().facts) == []


STEPS = st.lists(
    st.sampled_from(["good", "bad", "restart", "busy", "free", "sick", "well", "minute", "hour", "again"]), max_size=40
)


@settings(max_examples=400, deadline=None)
@given(
    steps=STEPS,
    has_signature=st.booleans(),
    confirm=st.booleans(),
    roll_back=st.booleans(),
    retries=st.integers(0, 3),
    result=st.sampled_from(InstallResult),
)
def test_any_way_ends_once_and_truly(
    steps: list[str], has_signature: bool, confirm: bool, roll_back: bool, retries: int, result: InstallResult
) -> None:
    """``World`` itself asserts that nothing is installed under a session, unfetched or unchecked."""
    world = World(rules=Rules(confirm, roll_back, 900.0))
    fields = signed() if has_signature else {}
    world.order(retries=retries, install_utc_s=EPOCH + world.now + 120, **fields)

    def answer(good: bool) -> None:
        match world.doing:
            case "Download":
                world.downloaded("" if good else "cut")
            case "Verify":
                world.verified("" if good else "wrong")
            case "Install":
                world.installed(result if good else InstallResult.FAILED)
            case "Confirm":
                world.confirmed(good)
            case "RollBack":
                world.rolled_back(good)
            case _:
                world.step(1)

    for what in steps:
        match what:
            case "good" | "bad":
                answer(what == "good")
            case "restart":
                world.restart()
            case "busy" | "free":
                # A session cannot begin while everything is held back.
                world.busy = what == "busy" and (world.busy or not world.held)
                world.step()
            case "sick" | "well":
                world.healthy = what == "well"
                world.step()
            case "minute" | "hour":
                world.step(60 if what == "minute" else 3600)
            case "again":
                before = len(world.told)
                if world.machine.phase is not None and world.machine.order is not None:
                    answer_again = world.machine.ordered(world.machine.order, world.facts)
                    assert answer_again == (OrderAnswer.ACCEPTED, [])
                assert len(world.told) == before
    world.busy, world.healthy = False, True
    for _ in range(200):
        if world.machine.phase is None:
            break
        answer(True) if world.doing else world.step(60)
    assert world.machine.phase is None
    assert [status for status in world.told if status in LAST] == world.told[-1:]
    assert (world.held, world.file, world.kept) == (False, False, "null")
    assert (world.told[-1] is Status.INSTALLED) == ("FirmwareUpdated" in world.events)
