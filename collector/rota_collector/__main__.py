"""``python -m rota_collector``: everything starts here, in this order, and stops in the reverse."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from rota_collector import __version__, decode, home, ports
from rota_collector.api.app import Stores, create
from rota_collector.clock import SystemClock
from rota_collector.config import Config
from rota_collector.errors import CollectorError, PortBusy
from rota_collector.journal import Journal, Record
from rota_collector.receive import grpc, otlp
from rota_collector.server import App, HttpServer
from rota_collector.store.control import Control
from rota_collector.store.fatal import FATAL
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.followers import Follower

DRAIN_SECONDS = 5.0  # for requests under way, once asked to stop
CATCH_UP_SECONDS = 5.0  # for the followers after that; what is left waits in the journal


def main() -> int:
    """Run the collector until TERM or INT; 1 when it cannot start, with the reason on stderr."""
    try:
        config = Config.read()
        listener = _take_ports(config)  # before anything is created
        with ExitStack() as opened:
            asyncio.run(_serve(config, listener, opened))
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
    home.lock(config.home)  # released by the end of the process
    clock = SystemClock()
    journal = Journal(config.home / "journal", clock=clock)
    opened.callback(journal.close)
    if journal.torn_bytes:
        say(f"moved {journal.torn_bytes} bytes of an unfinished write to {config.home / 'journal/quarantine'}")
    telemetry = Telemetry.open(config.home / "telemetry.duckdb")
    opened.callback(telemetry.close)
    if telemetry.set_aside is not None:
        say(f"moved a database that cannot be opened to {telemetry.set_aside}; it is rebuilt from the journal")
    control = Control(config.home / "control.sqlite")
    opened.callback(control.close)

    def fold(records: Sequence[Record]) -> None:
        control.apply(decode.run_events(records), records[-1].next_offset)

    to_telemetry = Follower("telemetry", journal, telemetry.offset, telemetry.apply, clock, FATAL)
    to_control = Follower("control", journal, control.offset, fold, clock)
    opened.callback(_stop_followers, journal, [to_telemetry, to_control])
    for follower in (to_telemetry, to_control):
        follower.start()

    receiver = otlp.Receiver(journal, max_body=config.max_body, policy_versions=control.policy_versions)
    api = create(Stores(control, telemetry, to_control, to_telemetry, clock), __version__)
    grpc_address = None
    if config.grpc is not None:
        grpc_server = grpc.serve(journal, config.grpc)
        opened.callback(grpc_server.stop)
    server = HttpServer(_route(receiver, api), listener)
    await _until_asked(server, config, str(ports.bound(listener)), grpc_address)


def _route(receiver: App, api: App) -> App:
    """Requests under /v1 are telemetry; everything else is the API's."""

    async def route(scope, receive, send):
        chosen = receiver if scope["type"] == "http" and scope["path"].startswith("/v1/") else api
        await chosen(scope, receive, send)

    return route


async def _until_asked(server: HttpServer, config: Config, http: str, grpc: str | None) -> None:
    serving = asyncio.create_task(server.serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    home.publish(config.home, http, grpc)
    say(f"listening on http://{http}" + (f", gRPC on {grpc}" if grpc else "") + f" (home {config.home})")
    ...


def _stop_followers(journal: Journal, followers: list[Follower]) -> None:
    journal.close()  # nothing comes any more: the followers stop at the end of it
    for follower in followers:
        follower.stop(CATCH_UP_SECONDS)
    for follower in followers:
        follower.join(CATCH_UP_SECONDS + 1)


if __name__ == "__main__":
    sys.exit(main())
