"""``python -m rota_collector``: everything starts here, in this order, and stops in the reverse."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from rota_collector import __version__, decode, home, ports
from rota_collector.api.app import Stores, create
from rota_collector.clock import SystemClock
from rota_collector.config import Address, Config
from rota_collector.errors import CollectorError, PortBusy, StartError
from rota_collector.journal import Journal, Record, Signal
from rota_collector.notify.worker import Worker
from rota_collector.receive import grpc, lineage, otlp, pings, sentry
from rota_collector.server import App, HttpServer
from rota_collector.store import events
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.fatal import FATAL
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch import targets
from rota_collector.watch.followers import Follower
from rota_collector.watch.forward import Forwarding
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.outbox import Sender
from rota_collector.watch.tick import Tools

SWITCH_SECONDS = 0.0005  # of the interpreter lock: who answers requests must not wait 5 ms for who decodes
COLLECT = (50_000, 50, 100)  # objects between garbage collections: what is kept of 100,000 policies is not looked through often
DRAIN_SECONDS = 5.0  # for requests under way, once asked to stop
STOP_FORWARDING_SECONDS = 1.0  # for a request under way; what is not answered by then is sent again
CATCH_UP_SECONDS = 5.0  # for the followers after that; what is left waits in the journal


def main() -> int:
    """Run the collector until TERM or INT; 1 when it cannot start, with the reason on stderr."""
    try:
        config = Config.read()
        listener = _take_ports(config)  # before anything is created
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(*COLLECT)
        with ExitStack() as opened:
            uvloop.run(_serve(config, listener, opened))
    except CollectorError as error:
        say(str(error))
        return 1
    return 0


def say(text: str) -> None:
    """One line for whoever watches stderr."""
    print(f"rota collector: {text}", file=sys.stderr, flush=True)


def _take_ports(config: Config) -> socket.socket:
    try:
        if config.grpc is not None:
            ports.check(config.grpc, "ROTA_GRPC")
        return ports.listen(config.http, "ROTA_HTTP")
    except PortBusy:
        home.refuse_if_taken(config.home)  # the likeliest reason of all, and the better thing to say
        raise


async def _serve(config: Config, listener: socket.socket, opened: ExitStack) -> None:
    asked = _asked_to_stop()
    home.lock(config.home)  # released by the end of the process
    clock = SystemClock()
    journal = _open_journal(config.home, clock, opened)
    telemetry = _open_telemetry(config.home, opened)
    control = Control(config.home / "control.sqlite")
    opened.callback(control.close)
    expectations = Expectations(control.engine, clock)
    control.observer = expectations

    def fold(records: Sequence[Record]) -> None:
        control.apply(decode.run_events(records), records[-1].next_offset, decode.heartbeats(records))

    to_telemetry = Follower("telemetry", journal, telemetry.offset, telemetry.apply, clock, FATAL)
    to_control = Follower("control", journal, control.offset, fold, clock)
    opened.callback(_stop_followers, journal, [to_telemetry, to_control])
    for follower in (to_telemetry, to_control):
        follower.start()
    forwarding = _start_forwarding(config, journal, clock, opened)
    alerts = Alerts(control.engine)
    sender = _start_sender(alerts, config, clock, opened)
    tools = Tools(expectations, alerts, telemetry.last_sign, config.dashboard_url)
    _start_monitor(Monitor(tools, journal, lambda: to_control.offset, clock, config.settle_ns, sender.wake), expectations, opened)

    grpc_address = _serve_grpc(config.grpc, journal, config.max_body, opened) if config.grpc else None
    receiver = otlp.Receiver(journal, max_body=config.max_body, policy_versions=expectations.policies.versions)
    opened.callback(receiver.close)

    def submit(records: Sequence[str]) -> int:
        return journal.append_blocking(Signal.LOGS_JSON, events.line(list(records)))

    stores = Stores(
        control, telemetry, to_control, to_telemetry, clock, expectations, alerts, sender, submit, forwarding.progress
    )
    pinged = pings.Receiver(journal, stores.keys, control, clock)
    doors = {
        sentry.PATH: sentry.door(journal, stores.keys, clock, config.max_body, Counter()),
        lineage.PATH: lineage.door(journal, stores.keys, clock, config.max_body),
    }
    api = create(stores, __version__)
    http = str(ports.bound(listener))
    server = HttpServer(_route(receiver, pinged, doors, api), listener, DRAIN_SECONDS)
    serving = asyncio.create_task(server.run_until_stopped())
    opened.callback(home.withdraw, config.home)
    home.publish(config.home, http, grpc_address)
    say(f"listening on http://{http}" + (f", gRPC on {grpc_address}" if grpc_address else "") + f" (home {config.home})")
    await _serve_until(asked, server, serving)


def _asked_to_stop() -> asyncio.Event:
    """Set by TERM and INT, also while everything is still starting."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked


def _open_journal(directory: Path, clock: SystemClock, opened: ExitStack) -> Journal:
    journal = Journal(directory / "journal", clock=clock)
    opened.callback(journal.close)
    if journal.torn_bytes:
        say(f"moved {journal.torn_bytes} bytes of an unfinished write to {directory / 'journal' / 'quarantine'}")
    return journal


def _open_telemetry(directory: Path, opened: ExitStack) -> Telemetry:
    telemetry = Telemetry.open(directory / "telemetry.duckdb")
    opened.callback(telemetry.close)
    if telemetry.set_aside is not None:
        say(f"moved a database that cannot be opened to {telemetry.set_aside}; it is rebuilt from the journal")
    return telemetry


def _start_forwarding(config: Config, journal: Journal, clock: SystemClock, opened: ExitStack) -> Forwarding:
    named = targets.read(config.forward, config.forward_headers)
    forwarding = Forwarding(named, journal, config.home / "forward", clock, say)
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

    opened.callback(stop)  # before the journal closes: what it decides goes there
    expectations.changed = monitor.wake
    monitor.start()


def _serve_grpc(address: Address, journal: Journal, max_body: int, opened: ExitStack) -> str:
    """Listen for gRPC; returns where."""
    try:
        receiver = grpc.Receiver(journal, str(address), max_body=max_body)
    except OSError as error:
        raise PortBusy(str(error)) from error
    opened.callback(receiver.close)
    return str(address._replace(port=receiver.port))


async def _serve_until(asked: asyncio.Event, server: HttpServer, serving: asyncio.Task[None]) -> None:
    """Serve until asked to stop; then let requests under way finish, for a while."""
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.is_set():
        waiting.cancel()
        await serving
        raise StartError("the HTTP server ended by itself; its own words are above")
    server.stop()
    await asyncio.wait({serving}, timeout=DRAIN_SECONDS + 1)


def _route(receiver: App, pinged: App, doors: Mapping[re.Pattern[str], App], api: App) -> App:
    """Requests under /v1 are telemetry, under /ping pings, some come from other people's clients; the rest is the API's."""

    async def route(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"]
        app = receiver if path.startswith("/v1/") else pinged if path.startswith("/ping/") else _door(path) or api
        await app(scope, receive, send)

    def _door(path: str) -> App | None:
        return next((door for pattern, door in doors.items() if pattern.fullmatch(path)), None)

    return route


def _stop_followers(journal: Journal, followers: list[Follower]) -> None:
    journal.close()  # nothing comes any more: the followers stop at the end of it
    for follower in followers:
        follower.stop(CATCH_UP_SECONDS)
    for follower in followers:
        follower.join(CATCH_UP_SECONDS + 1)
    if any(follower.is_alive() for follower in followers):
        say("a store takes too long to finish; the next start applies the rest from the journal")
        os._exit(0)  # its file must not be closed under it


if __name__ == "__main__":
    sys.exit(main())
