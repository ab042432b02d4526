"""Times single calls of functions that ask, in turn with a bare exchange over a Unix socket; prints ns a call, as JSON."""

import asyncio
import json
import os
import selectors
import socket
import sys
import time
from time import perf_counter_ns

import rota
from rota.control import standing

rota.watch()
STANDS_SECONDS = standing.STANDS_SECONDS
CALLS, PATH = int(sys.argv[1]), sys.argv[2]


def permitted():
    """What asks."""


async def permitted_too():
    """What asks, awaited."""


def echo(listening):
    """The least that an agent could be."""
    connection, _ = listening.accept()
    connection.setblocking(False)
    waiting = selectors.DefaultSelector()
    waiting.register(connection, selectors.EVENT_READ)
    while True:
        waiting.select(1.0)
        line = connection.recv(65536)
        if not line:
            os._exit(0)
        connection.send(line)


def exchange(connection, line=b"x" * 300 + b"\n"):
    connection.sendall(line)
    connection.recv(65536)


def timed(call, calls=CALLS):
    taken = []
    for _ in range(calls):
        began = perf_counter_ns()
        call()
        taken.append(perf_counter_ns() - began)
    return taken


async def awaited():
    taken = []
    for _ in range(CALLS):
        began = perf_counter_ns()
        await permitted_too()
        taken.append(perf_counter_ns() - began)
    return taken


def main():
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as connection:
        if os.path.exists(PATH):
            os.unlink(PATH)
        listening.bind(PATH)
        listening.listen(1)
        if os.fork() == 0:
            echo(listening)
        connection.connect(PATH)
        connection.settimeout(10)
        timed(permitted, 100)
        found = {"bare": [], "permitted": []}
        for _ in range(10):
            found["bare"] += timed(lambda: exchange(connection), CALLS // 10)
            found["permitted"] += timed(permitted, CALLS // 10)
    found["awaited"] = asyncio.run(awaited())
    standing.STANDS_SECONDS = 0.0  # from here on every call asks
    time.sleep(STANDS_SECONDS)
    found["asked"] = timed(permitted)
    found["blind"] = blind()
    print(json.dumps(found))


def blind():
    """Calls that nobody answered: one is too many for this to mean anything."""
    spool = os.path.join(os.environ["ROTA_HOME"], "spool", "live")
    files = [os.path.join(spool, name) for name in os.listdir(spool) if name.startswith("%d-" % os.getpid())]
    return [path for path in files if "nobody answers" in open(path).read()]


main()
