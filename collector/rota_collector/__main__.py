"""``python -m rota_collector``: the front of the collector. Everything starts here, in this order, and stops in the reverse.

This process receives, and writes the journal; an acknowledgement needs nothing else. Stores, clock and API are in a process
of their own, the keeper, which is started here and shares only the journal with this one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from ssl import SSLContext

import uvloop

from rota_collector import counters, home, log, ports
from rota_collector.board import Board, Cell
from rota_collector.child import Keeper
from rota_collector.clock import Clock, SystemClock
from rota_collector.config import Config
from rota_collector.counters import Counters
from rota_collector.errors import CollectorError, PortBusy, StartError
from rota_collector.journal import Journal
from rota_collector.link import Bell, PublishedExtent
from rota_collector.log import say
from rota_collector.room import Room
from rota_collector.server import DRAIN_SECONDS, HttpServer
from rota_collector.supervisor import Supervisor

SWITCH_SECONDS = 0.0005  # of the interpreter lock: who answers requests must not wait 5 ms for who checks a large body
KEEPER_SECONDS = 25.0  # for the keeper to finish, once asked to stop; what is left waits in the journal


def main() -> int:
    """Run the collector until TERM or INT; 1 when it cannot start, with the reason on stderr."""
    try:
        config = Config.read()
        log.configure(config.log, config.log_level)
        tls = config.tls.context() if config.tls else None
        listener = _take_ports(config)  # before anything is created
        sys.setswitchinterval(SWITCH_SECONDS)
        uvloop.run(_run(config, listener, tls))
    except CollectorError as error:
        say(str(error), log.ERROR)
        return 1
    return 0


def _take_ports(config: Config) -> socket.socket:
    try:
        if config.grpc is not None:
            ports.check(config.grpc, "ROTA_GRPC")
        return ports.listen(config.http, "ROTA_HTTP")
    except PortBusy:
        home.refuse_if_taken(config.home)  # the likeliest reason of all, and the better thing to say
        raise


async def _run(config: Config, listener: socket.socket, tls: SSLContext | None) -> None:
    asyncio.get_running_loop().set_exception_handler(log.of_loop)
    supervisor = Supervisor.of(os.environ)
    asked = _asked_to_stop(supervisor)
    home.lock(config.home)  # released by the end of the process
    async with AsyncExitStack() as opened:
        await _serve(config, listener, tls, asked, supervisor, opened)


async def _serve(
    config: Config, listener: socket.socket, tls: SSLContext | None, asked: asyncio.Event, supervisor: Supervisor,
    opened: AsyncExitStack,
) -> None:  # fmt: skip
    clock, board, bell, counted = SystemClock(), Board(), Bell(), Counters()
    journal = _open_journal(config, clock, board, bell, opened)
    recorded = journal.durable_end
    journal.synced = lambda seconds: counted.observe("rota_journal_sync_seconds", seconds)
    api = ports.listen_privately(config.home / "keeper.sock")
    opened.callback((config.home / "keeper.sock").unlink, missing_ok=True)
    keeper = Keeper(journal, board, bell, api.socket, say, lambda: _numbers(counted, journal))
    opened.push_async_callback(keeper.stop, KEEPER_SECONDS)
    await keeper.spawn()
    from rota_collector.front import Front

    await keeper.ready()
    front = Front(config, journal, recorded, board, counted, clock, api.path, opened)
    bound = ports.bound(listener)
    grpc_address, http = front.serve_grpc(config.grpc, bound.port) if config.grpc else None, str(bound)
    local = _listen_local(config.http_socket, opened)
    server = HttpServer(front.app, listener, DRAIN_SECONDS, tls=tls, local=local, most_connections=config.connections)
    serving = asyncio.create_task(server.run_until_stopped())
    opened.callback(home.withdraw, config.home)
    home.publish(config.home, http, grpc_address)
    url = f"{'https' if tls else 'http'}://{http}"
    say(f"listening on {url}" + (f", gRPC on {grpc_address}" if grpc_address else "") + f" (home {config.home})")
    watching = asyncio.create_task(supervisor.follow(front.app, f"listening on {url}"))
    await _serve_until(asked, board, server, serving)
    watching.cancel()


def _numbers(counted: Counters, journal: Journal) -> dict[str, float]:
    """What this process counts, for /metrics, which the keeper answers."""
    end = {"rota_journal_bytes_total": journal.durable_end}
    return {**counted.read(), **end, **counters.of_process("front"), **log.counted("front")}


def _asked_to_stop(supervisor: Supervisor) -> asyncio.Event:
    """Set by TERM and INT, also while everything is still starting."""
    asked = asyncio.Event()

    def stop() -> None:
        asked.set()
        supervisor.stopping()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return asked


def _open_journal(config: Config, clock: Clock, board: Board, bell: Bell, opened: AsyncExitStack) -> Journal:
    directory = config.home / "journal"
    room = Room(config.home, config.disk_reserve, config.most_lag, board.lag_bytes, clock)
    journal = Journal(directory, clock=clock, extent=PublishedExtent(board, bell), why_full=room.why_none)
    opened.callback(journal.close)
    if journal.torn_bytes:
        say(f"moved {journal.torn_bytes} bytes of an unfinished write to {directory / 'quarantine'}")
    return journal


def _listen_local(path: Path | None, opened: AsyncExitStack) -> socket.socket | None:
    if path is None:
        return None
    sock = ports.listen_local(path, "ROTA_HTTP_SOCKET")
    opened.callback(path.unlink, missing_ok=True)
    return sock


async def _serve_until(asked: asyncio.Event, board: Board, server: HttpServer, serving: asyncio.Task[None]) -> None:
    """Serve until asked to stop; then let requests under way finish, for a while."""
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.is_set():
        waiting.cancel()
        await serving
        raise StartError("the HTTP server ended by itself; its own words are above")
    board[Cell.STOPPING] = 1  # answers without an end come to theirs
    server.stop()
    await asyncio.wait({serving}, timeout=DRAIN_SECONDS + 1)


if __name__ == "__main__":
    sys.exit(main())
