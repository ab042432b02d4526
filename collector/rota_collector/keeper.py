"""The process that keeps the stores, watches the clock and answers the API.

The front starts it (``child.py``) and shares only the journal with it: whatever keeps this one busy, or ends it, no
acknowledgement waits. It serves the API on a socket that the front listens on, follows the journal's files, and stops when
its stdin ends. When the front is gone without a word, so is this.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.abc import MetaPathFinder
from pathlib import Path

import pyarrow as pa
import uvloop

from rota_collector import __version__, counters, log
from rota_collector.api.app import Stores, Tails, create
from rota_collector.board import Board, Cell
from rota_collector.clock import Clock, SystemClock
from rota_collector.config import Config
from rota_collector.decode import to_rows
from rota_collector.domain.memory import of_store
from rota_collector.domain.rate import Rates
from rota_collector.errors import CollectorError, StoreLocked
from rota_collector.journal import Record, Signal
from rota_collector.link import JournalLink
from rota_collector.log import say
from rota_collector.notify.worker import Worker
from rota_collector.server import DRAIN_SECONDS, HttpServer
from rota_collector.store import copies, events
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.fatal import FATAL
from rota_collector.store.telemetry import Batch, RunEvents, Telemetry
from rota_collector.watch.followers import Follower
from rota_collector.watch.forward import Forwarding
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.outbox import Sender
from rota_collector.watch.retention import Retention
from rota_collector.watch.tick import Tools
from rota_collector.watch.waiting import Waiting

SWITCH_SECONDS = 0.0005  # of the interpreter lock: who answers requests must not wait 5 ms for who decodes
COLLECT = (50_000, 50, 100)  # objects between garbage collections: what is kept of 100,000 policies is not looked through often
STOP_FORWARDING_SECONDS = 1.0  # for a request under way; what is not answered by then is sent again
CATCH_UP_SECONDS = 5.0  # for the followers, once asked to stop; what is left waits in the journal
_PREDECESSOR_SECONDS = 10.0  # for one that was killed a moment ago to let go of its files
_PR_SET_PDEATHSIG = 1


def main(board: int, bell: int, submit: int, api: int, front: int) -> int:
    """Serve until stdin ends; 1 when the stores cannot be opened, with the reason on stderr."""
    _die_with(front)
    sys.meta_path.insert(0, _WithoutPandas)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # they are the front's, which tells us
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECT)
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())  # beside Arrow's usual one: 100 MB less after a burst, and faster
    try:
        config = Config.read()
        log.configure(config.log, config.log_level)
        shared = Board(board)
        link = JournalLink(config.home / "journal", shared, bell, socket.socket(fileno=submit), _front_is_gone)
        with ExitStack() as opened:
            uvloop.run(_serve(config, shared, link, socket.socket(fileno=api), opened))
    except CollectorError as error:
        say(str(error), log.ERROR)
        return 1
    return 0


class _WithoutPandas(MetaPathFinder):
    """Arrow and DuckDB load it as soon as they meet a list, where a dashboard has it installed: 30 MB that nobody here uses."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("the keeper does without pandas", name=name)


def _die_with(front: int) -> None:
    """Have the kernel kill us with the front, so that the next one finds the stores free."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != front:  # it was quicker
            _front_is_gone()


def _front_is_gone() -> None:
    os._exit(1)


async def _serve(config: Config, board: Board, link: JournalLink, listener: socket.socket, opened: ExitStack) -> None:
    asyncio.get_running_loop().set_exception_handler(log.of_loop)
    clock = SystemClock()
    run_events = to_rows.RunEventsForTwo()
    telemetry = _open_telemetry(config.home, of_store(config.memory), run_events, opened)
    control = _open_control(config.home, opened)
    expectations = Expectations(control.engine, clock, config.retry_budget)
    control.observer = expectations
    expectations.policies.tell(lambda number: board.__setitem__(Cell.ASKING, number))

    def fold(records: Sequence[Record]) -> None:
        beside = to_rows.beside(records, expectations.policies.asking.ruled)
        control.apply(run_events(records), records[-1].next_offset, beside)
        board[Cell.CONTROL_OFFSET] = records[-1].next_offset

    def insert(prepared: Batch) -> None:
        telemetry.insert(prepared)
        board[Cell.TELEMETRY_OFFSET] = prepared.next_offset

    board[Cell.CONTROL_OFFSET], board[Cell.TELEMETRY_OFFSET] = control.offset(), telemetry.offset()
    to_telemetry = Follower("telemetry", link, telemetry.offset, insert, clock, FATAL, telemetry.prepare)
    to_control = Follower("control", link, control.offset, fold, clock)
    opened.callback(_stop_followers, link, [to_telemetry, to_control])
    for follower in (to_telemetry, to_control):
        follower.start()
    forwarding = _start_forwarding(config, link, clock, opened)
    alerts = Alerts(control.engine)
    retention = _start_retention(config, telemetry, control, forwarding, clock, opened)
    sender = _start_sender(alerts, config, clock, opened)
    tools = Tools(expectations, alerts, telemetry.last_sign, config.dashboard_url)
    waiting = Waiting(expectations, clock, lambda: bool(board[Cell.STOPPING]))
    opened.callback(waiting.stop, CATCH_UP_SECONDS)
    waiting.start()
    monitor = Monitor(tools, link, lambda: to_control.offset, clock, config.settle_ns, sender.wake)
    _start_monitor(monitor, expectations, opened)

    def submit(records: Sequence[str]) -> int:
        return link.append_blocking(Signal.LOGS_JSON, events.line(list(records)))

    tails = Tails(link, lambda: min(to_control.offset, to_telemetry.offset), lambda: bool(board[Cell.STOPPING]))

    def numbers() -> dict[str, float]:
        own = {"rota_journal_damaged_bytes": sum(link.damage.values()), **counters.of_process("keeper"), **log.counted("keeper")}
        own["rota_permission_waiting"] = len(waiting.waiters())
        return {**link.numbers(), **monitor.counters.read(), **sender.counters.read(), **waiting.counters.read(), **own}

    stores = Stores(
        control, telemetry, to_control, to_telemetry, clock, expectations, alerts, sender, tails, config.home / "exports",
        waiting, submit, retention, link.damage, config.home, config.metrics_workflows, numbers,
        Rates(config.api_rate, clock.monotonic), lambda number: board.__setitem__(Cell.KEY_CHANGES, number), forwarding.progress,
    )  # fmt: skip
    server = HttpServer(create(stores, __version__), listener, DRAIN_SECONDS)
    serving = asyncio.create_task(server.run_until_stopped())
    link.ready()
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.stop()
    await asyncio.wait({serving}, timeout=DRAIN_SECONDS + 1)


def _open_telemetry(directory: Path, memory: int, run_events: RunEvents, opened: ExitStack) -> Telemetry:
    give_up_at = time.monotonic() + _PREDECESSOR_SECONDS
    while True:
        try:
            telemetry = Telemetry.open(directory / "telemetry.duckdb", memory=memory, run_events=run_events)
            break
        except StoreLocked:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
    opened.callback(telemetry.close)
    if telemetry.set_aside is not None:
        say(f"moved a database that cannot be opened to {telemetry.set_aside}; it is rebuilt from the journal")
    return telemetry


def _open_control(directory: Path, opened: ExitStack) -> Control:
    if copy := copies.begin_control(directory):
        say(f"there was no control.sqlite: runs, keys, policies, channels and incidents begin with {copy}")
    control = Control(directory / "control.sqlite")
    opened.callback(control.close)
    return control


def _start_retention(
    config: Config, telemetry: Telemetry, control: Control, forwarding: Forwarding, clock: Clock, opened: ExitStack
) -> Retention:
    def cursors() -> list[int]:
        return [telemetry.offset(), control.offset(), *forwarding.cursors().values()]

    retention = Retention(config.home, telemetry, control.engine, config.keep, config.disk_reserve, cursors, clock, _end)
    opened.callback(retention.stop, CATCH_UP_SECONDS)
    retention.start()
    return retention


def _end() -> None:
    """For the front to start the next one: what was under way is done again from the journal."""
    say("telemetry.duckdb was written anew; opening it")
    os._exit(0)


def _start_forwarding(config: Config, link: JournalLink, clock: SystemClock, opened: ExitStack) -> Forwarding:
    """Before anything is received: a new target gets all that comes from now on."""
    forwarding = Forwarding(config.forward, link, config.home / "forward", clock, say)
    opened.callback(forwarding.stop, STOP_FORWARDING_SECONDS)
    forwarding.start()
    return forwarding


def _start_sender(alerts: Alerts, config: Config, clock: SystemClock, opened: ExitStack) -> Sender:
    sender = Sender(alerts, Worker(allow_private=config.allow_private), clock)
    opened.callback(sender.stop, CATCH_UP_SECONDS)
    sender.start()
    return sender


def _start_monitor(monitor: Monitor, expectations: Expectations, opened: ExitStack) -> None:
    def stop() -> None:
        monitor.stop()
        monitor.join(CATCH_UP_SECONDS)

    opened.callback(stop)  # before the followers stop: what it decides goes into the journal
    expectations.changed = monitor.wake
    monitor.start()


def _stop_followers(link: JournalLink, followers: list[Follower]) -> None:
    link.close()  # nothing comes any more: the followers stop at the end of it
    for follower in followers:
        follower.stop(CATCH_UP_SECONDS)
    for follower in followers:
        follower.join(CATCH_UP_SECONDS + 1)
    if any(follower.is_alive() for follower in followers):
        say("a store takes too long to finish; the next start applies the rest from the journal")
        os._exit(0)  # its file must not be closed under it
