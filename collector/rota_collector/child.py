"""The keeper as the front sees it: a process that is started, started again when it dies, and ends when we do."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from rota_collector.board import Board
from rota_collector.errors import StartError
from rota_collector.journal import Journal
from rota_collector.link import Bell, Numbers, serve

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 30.0
_STEADY_SECONDS = 60.0  # who lived so long did not fail at its start


class Keeper:
    """Runs ``python -m rota_collector.keep`` on the ``api`` socket, which already listens: requests wait while it starts.

    ``bell`` and ``board`` outlive each of its lives; ``numbers`` are what it is told when it asks for what we counted.
    """

    def __init__(
        self, journal: Journal, board: Board, bell: Bell, api: socket.socket, say: Callable[[str], None], numbers: Numbers = dict
    ) -> None:
        self._numbers = numbers
        self._journal, self._board, self._bell, self._api, self._say = journal, board, bell, api, say
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.restarts = 0

    async def ready(self) -> None:
        """Wait until the one that was spawned serves. Raises StartError when it ends instead."""
        ready = asyncio.ensure_future(self._ready.wait())
        ended = asyncio.ensure_future(self._ended())
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise StartError("the stores cannot be opened; why is said above")
        self._watching = asyncio.create_task(self._watch(ended))

    async def stop(self, seconds: float) -> None:
        """Ask it to finish, which takes what it submits meanwhile into the journal; kill it after ``seconds``."""
        if self._watching is not None:
            self._watching.cancel()
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._say("the stores take too long to finish; the next start applies the rest from the journal")
            self._process.kill()
            await self._process.wait()

    async def spawn(self) -> None:
        """Start it, and go on."""
        ours, theirs = socket.socketpair()
        with theirs:
            fds = (self._board.fd, self._bell.reader, theirs.fileno(), self._api.fileno())
            command = [sys.executable, "-m", "rota_collector.keep", *map(str, fds), str(os.getpid())]
            self._process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, pass_fds=fds)
        self._serving = asyncio.create_task(serve(ours, self._journal, self._ready.set, self._numbers))

    async def _ended(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def _watch(self, ended: asyncio.Future[int]) -> None:
        wait_seconds = _FIRST_WAIT_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            status = await ended
            self._serving.cancel()
            if clock() - began > _STEADY_SECONDS:
                wait_seconds = _FIRST_WAIT_SECONDS
            self._say(f"the process that keeps the stores ended ({_words(status)}); starting it again in {wait_seconds:g} s")
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
            self.restarts += 1
            await self.spawn()
            ended = asyncio.ensure_future(self._ended())


def _words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
