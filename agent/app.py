"""The agent process: joins journal, station, tunnel, link and local API, and carries out what the station wants.

The order is always *write, act, send*: what a step of the station records is durable before control hears of it,
and control hears of it before the network does.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import __version__, config
from agent.bookkeeper import Bookkeeper
from agent.clock import Clock
from agent.hard_reset import restart_machine
from agent.joints.access import AccessWork
from agent.joints.charging import ChargingWork
from agent.joints.customers import CustomerWork
from agent.joints.device_model import DeviceWork
from agent.joints.display import DisplayWork
from agent.joints.files import FileWork
from agent.joints.local_api import LocalWork
from agent.joints.network_verbs import NetworkVerbs
from agent.joints.restarts import TELLS_FIRST, Restarts, last_words
from agent.joints.service import Rooms
from agent.joints.tariffs import TariffWork
from agent.joints.transactions import TransactionWork
from agent.journal.journal import Journal
from agent.link.client import ControlLink
from agent.link.messages import ToAgent, ToControl, Welcome
from agent.local.status import StatusDocument
from agent.notify import notify, watchdog_period_s
from agent.ocpp.link_settings import from_file
from agent.ocpp.ports import DataTransfer, TransferAnswer, UplinkReport, UplinkState
from agent.ocpp.tunnel import Tunnel
from agent.ocpp.v16.configuration import initial_settings
from agent.security.events import SecurityEvent
from agent.security.security import Security
from agent.slots.here import may_carry_back
from agent.station.books import Books
from agent.station.commands import (
    ResetKind,
    UnlockAnswer,
)
from agent.station.documents import LiveDocument
from agent.station.effects import (
    AnswerUnlock,
    AskAuthorisation,
    Effect,
    Keep,
    NewsForNetwork,
    Record,
    ReportMeter,
    ReportStatus,
    Restart,
    Send,
    ShowMessages,
    Tampered,
)
from agent.station.settings import Settings
from agent.station.station import Station
from agent.station.wall_clock import offset_s
from agent.update.commands import run as run_command
from agent.update.health import Health, Network

log = logging.getLogger(__name__)

EXIT_RESTART = 75
"""Exit status that asks the service manager for a fresh start (EX_TEMPFAIL)."""

_DOCUMENTS = (
    "session availability setting token station charging_profile reservation price "
    "fault monitor monitor_event display tariff"
)
KEPT_TABLES = tuple(_DOCUMENTS.split())

_NETWORK = {
    UplinkState.NOT_CONFIGURED: Network.NONE,
    UplinkState.ACCEPTED: Network.ACCEPTED,
    UplinkState.BOOTING: Network.NOT_ACCEPTED,
    UplinkState.PENDING: Network.NOT_ACCEPTED,
    UplinkState.REJECTED: Network.NOT_ACCEPTED,
    UplinkState.CONNECTING: Network.UNREACHABLE,
    UplinkState.DISCONNECTED: Network.UNREACHABLE,
    UplinkState.OFFLINE_BY_COMMAND: Network.UNREACHABLE,
}


class App(NetworkVerbs):
    """One running agent. Implements ``agent.ocpp.ports.StationPort`` and the local API's status source."""

    def __init__(self, configuration: config.Config, path: Path | None = None) -> None:
        self._config = configuration
        self._clock = Clock()
        self._journal = Journal.open(configuration.journal_path, self._clock.boot, from_newer=may_carry_back())
        try:
            self._assemble(configuration, path)
        except BaseException:
            self._journal.close()  # whoever tries again must find it free
            raise

    def _assemble(self, configuration: config.Config, path: Path | None) -> None:
        self._journal.keep_below(configuration.journal.max_megabytes << 20)
        self._keeper = Bookkeeper(
            self._journal, configuration.journal.on_failure, lambda: self._clock.now().monotonic_s
        )
        self._clock.adopt(self._journal.boot_offset(self._clock.boot))
        self._clock_unwritten = False
        self._settings = Settings()
        kept = {table: self._journal.kept(table) for table in KEPT_TABLES}
        self._load_settings(kept["setting"])
        self._station = Station(
            configuration, self._settings, kept, self._clock.now(), local_list=self._journal.local_list
        )
        self.transactions = TransactionWork(self._station, self._clock, self.carry_out)
        self.access = AccessWork(self._station, self._clock, self.carry_out)
        self.charging = ChargingWork(self._station, self._clock, self.carry_out, lambda: self._tunnel.wake())
        self.display = DisplayWork(self._station, self._clock, self.carry_out)
        self.customers = CustomerWork(self._station, self._journal, self._clock, self.carry_out)
        self.tariffs = TariffWork(self._station, self._clock, self.carry_out)
        self._link = ControlLink(configuration.link_path, self._from_control, self._control_lost)
        self._security = Security(configuration.paths.state_dir / "security", self._journal, self._clock)
        self._files = FileWork(configuration, self._journal, self._settings, self._clock, self._security, self)
        self.restarts = Restarts(
            kept["station"], self._clock.boot, lambda: self._files.updates.new_version, self.carry_out
        )
        self._device = DeviceWork(
            configuration,
            self._settings,
            self._station.facts,
            self._clock,
            self._security,
            lambda: self._tunnel.networks,
            kept,
            self,
        )
        self._tunnel = Tunnel(
            configuration,
            self._journal,
            self._settings,
            self,
            self._clock,
            self._security,
            self._files.surroundings,
            self._device.device,
        )
        inner = (self._clock, self._journal, self._security, self._settings)
        self._local = LocalWork(configuration, Rooms(path, *inner, self._station, self._tunnel, self._files), self)
        self._timer: asyncio.TimerHandle | None = None
        self._unlocks: dict[int, asyncio.Future[UnlockAnswer]] = {}
        self._next_unlock = 1
        self._control_instance = ""
        self._books = Books()
        self._retry: asyncio.TimerHandle | None = None
        self._exit: asyncio.Future[int] | None = None
        self._resetting: asyncio.Task[None] | None = None
        self._feeding: asyncio.TimerHandle | None = None

    # ---- life ------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until a signal or a reset ends it. Return the exit status."""
        loop = asyncio.get_running_loop()
        self._exit = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, 0)
        self.carry_out(self._station.recovered(self._clock.now()))
        self._security.started(f"evse-agent {__version__}")
        self.restarts.begun()
        self._files.start()
        self._device.start()
        self._link.start()
        await self._local.start()
        tunnel = asyncio.create_task(self._tunnel.run(), name="tunnel")
        tunnel.add_done_callback(self._tunnel_ended)
        gc.collect()
        gc.freeze()
        notify("READY=1")
        self._feed_watchdog()
        try:
            return await self._exit
        finally:
            notify("STOPPING=1")
            self.restarts.leaving()
            await self._close(tunnel)

    def _feed_watchdog(self) -> None:
        """By the loop itself: whatever holds it up for long ends in a fresh start."""
        period_s = watchdog_period_s()
        if period_s is not None:
            notify("WATCHDOG=1")
            self._feeding = asyncio.get_running_loop().call_later(period_s, self._feed_watchdog)

    async def _close(self, tunnel: asyncio.Task[None]) -> None:
        for timer in (self._timer, self._retry, self._feeding):
            if timer is not None:
                timer.cancel()
        if self._resetting is not None:
            self._resetting.cancel()
        tunnel.cancel()
        await asyncio.gather(tunnel, return_exceptions=True)
        await self._files.close()
        await self._local.close()
        self._link.close()
        self._device.close()
        self._keeper.write(self._device.flush(), last=True)
        self._journal.close()

    def _leave(self, status: int) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(status)

    def _tunnel_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("the tunnel ended unexpectedly; leaving for a fresh start", exc_info=task.exception())
            self._leave(1)

    def _load_settings(self, kept: dict[str, Any]) -> None:
        """Defaults, then the file's values, then what was set since."""
        for name, text in (*from_file(self._config.ocpp), *initial_settings(self._config.ocpp.settings)):
            self._settings.set(name, text)
        for name, text in kept.items():
            try:
                self._settings.set(name, text)
            except (KeyError, ValueError) as error:
                log.warning("kept setting %s=%r is not usable any more (%s); its default holds", name, text, error)

    # ---- effects ---------------------------------------------------------------------------------------------

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Write, act, send; then set the next timer."""
        self._write([effect for effect in effects if isinstance(effect, Record | Keep)])
        for effect in effects:
            self._perform(effect)
        self._set_timer()
        self._tell_books()
        self._files.updates.stirred()
        self._device.stirred()

    def _write(self, entries: list[Record | Keep]) -> None:
        self._files.metrics.recorded(entries)
        if self._keeper.write(entries):
            self._tunnel.wake()
        if self._retry is None and self._keeper.retry_at is not None:
            loop = asyncio.get_running_loop()
            self._retry = loop.call_at(self._keeper.retry_at, self._retry_due)

    def _retry_due(self) -> None:
        self._retry = None
        self.carry_out([])

    def _tell_books(self) -> None:
        """Tell the station how the books do when that has changed."""
        books = self._keeper.books
        if books != self._books:
            self._books = books
            self.carry_out(self._station.books_changed(books, self._clock.now()))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(message) if not self._keeper.keeps_back(message):
                self._link.send(message)
            case AskAuthorisation(request, token):
                self._tunnel.authorise(request, token)
            case ReportStatus(report):
                self._tunnel.report_status(report)
            case ReportMeter(evse, at_utc_s, samples):
                self._tunnel.report_meter(evse, at_utc_s, samples)
            case AnswerUnlock(request, answer):
                waiting = self._unlocks.pop(request, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case Restart(kind):
                log.warning("%s reset: leaving for a fresh start", kind.value.lower())
                self._security.record(SecurityEvent.RESET_OR_REBOOT, f"{kind.value.lower()} reset")
                self.restarts.reset(kind)
                self._resetting = asyncio.create_task(self._reset(kind), name="reset")
            case NewsForNetwork():
                self._tunnel.wake()
            case ShowMessages(document):
                self._local.publish("display", document)
            case Tampered(detail):
                self._security.record(SecurityEvent.TAMPER_DETECTION, detail)

    async def _reset(self, kind: ResetKind) -> None:
        """Any reset but a soft one restarts the machine where it can be; else, or when that fails, the agent alone."""
        update = self._config.update
        if kind in TELLS_FIRST:
            await last_words(self._has_last_words)
        if kind is not ResetKind.SOFT and update.restart:
            retries = self._settings.integer("OCPPCommCtrlr.ResetRetries")
            await restart_machine(update.restart, retries, lambda command: run_command(command, update.timeout_s))
        self._leave(EXIT_RESTART)

    def _has_last_words(self) -> bool:
        return self._tunnel.report().state is UplinkState.ACCEPTED and self._journal.waits("")

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._station.next_wake()
        if wake is not None:
            self._timer = asyncio.get_running_loop().call_at(wake, self._timer_due)

    def _timer_due(self) -> None:
        self.carry_out(self._station.timer(self._clock.now()))

    # ---- control ---------------------------------------------------------------------------------------------

    def _from_control(self, message: ToAgent) -> None:
        self._files.metrics.heard(message)
        if isinstance(message, Welcome):
            self._control_instance = message.instance
        if not self._local.control.heard(message):
            self.carry_out(self._station.handle(message, self._clock.now()))

    def _control_lost(self) -> None:
        self.carry_out(self._station.control_lost(self._clock.now()))

    # ---- for files and updates ------------------------------------------------------------------------------

    def busy(self) -> bool:
        return self._station.in_transaction

    def health(self, loop_late: float | None) -> Health:
        network = _NETWORK[self._tunnel.report().state]
        return Health(self._link.connected, loop_late, self._keeper.retry_at is None, network)

    def hold_back(self, on: bool) -> None:
        self.carry_out(self._station.hold_back(on, self._clock.now()))

    def restart(self) -> None:
        self._leave(EXIT_RESTART)

    async def data_transfer(self, vendor: str, message: str = "", data: str = "") -> TransferAnswer | None:
        """Send a vendor's message to the network; None when it is not there or gives no answer."""
        return await self._tunnel.data_transfer(DataTransfer(vendor, message, data))

    # ---- status source, for the local API --------------------------------------------------------------------

    def set_uplink(self, online: bool) -> None:
        self._tunnel.set_online(online)

    def to_control(self, message: ToControl) -> bool:
        """Pass on what a technician asks. Return False when control is not there."""
        self._link.send(message)
        return self._link.connected

    def live(self, evse: int) -> LiveDocument:
        return self._station.live(evse, self._clock.now())

    def status(self) -> StatusDocument:
        from agent.local.status import document

        report: UplinkReport = self._tunnel.report()
        return document(
            self._config,
            report,
            self._keeper.figures(),
            self._control_instance if self._link.connected else "",
            self._clock.now(),
            self._station.snapshot(self._clock.now()),
            offset_s(self._settings, self._clock.now().utc_s),
            self._station.grid(self._clock.now()),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m agent.app``: see ``agent.serve``."""
    from agent import serve

    return serve.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
