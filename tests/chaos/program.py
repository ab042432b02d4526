"""The program of every cell: it works, has others work, and ends. CPython 3.8 and later.

Arguments: a value of each of the first three tables of ``matrix.toml``. It is run once with rota and once with an empty
module of that name, and must not be told apart by what it prints and how it ends.
"""

import asyncio
import concurrent.futures
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import rota

rota.watch()
EXIT, PROCESS, ALONGSIDE = sys.argv[1:4]


def part(who):
    """A unit of work, as a task by that name."""
    with rota.task(who):
        return "%s worked" % who


def end():
    """End this process in the way asked for."""
    sys.stdout.flush()
    if EXIT == "uncaught":
        raise ValueError("as asked for")
    if EXIT == "_exit":
        os._exit(7)
    if EXIT == "abort":
        os.abort()
    if EXIT == "SIGSEGV":
        ctypes.string_at(0)
    if EXIT.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, EXIT))
        time.sleep(30)
    sys.exit(int(EXIT))


def child():
    """What a child does that ends by itself."""
    print(part("a child"))
    end()


def have_others_work():
    """What ``PROCESS`` says; prints what came of it."""
    if PROCESS == "fork":
        pid = os.fork()
        if not pid:
            child()
        print("it ended with", os.waitpid(pid, 0)[1])
    elif PROCESS in ("spawn", "forkserver"):
        started = multiprocessing.get_context(PROCESS).Process(target=child)  # type: ignore[attr-defined]
        started.start()
        started.join()
        print("it ended with", started.exitcode)
    elif PROCESS == "Pool":
        with multiprocessing.Pool(2) as pool:
            print(pool.map(part, ["a worker"] * 4, chunksize=1))
    elif PROCESS == "ProcessPoolExecutor":
        with concurrent.futures.ProcessPoolExecutor(2) as workers:
            print(list(workers.map(part, ["a worker"] * 4)))
    elif PROCESS == "subprocess":
        command = [sys.executable, *FLAGS, __file__, EXIT, "plain", "nothing"]
        print("it ended with", subprocess.call(command, env=dict(os.environ, ROTA_WORKFLOW=os.environ["CHILD"])))
    print(part("the process"))
    sys.stdout.flush()


def leave():
    """End, or let another program end."""
    if PROCESS == "exec":
        os.execv(sys.executable, [sys.executable, *FLAGS, "-c", ELSEWHERE, EXIT])
    end()


FLAGS = ["-W", "ignore"]
ELSEWHERE = """
import ctypes, os, signal, sys, time
name = sys.argv[1]
print("another program", flush=True)
if name == "uncaught":
    raise ValueError("as asked for")
if name == "_exit":
    os._exit(7)
if name == "abort":
    os.abort()
if name == "SIGSEGV":
    ctypes.string_at(0)
if name.startswith("SIG"):
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(30)
sys.exit(int(name))
"""


def for_ever():
    """Work in a thread that never ends."""
    while True:
        part("a daemon")
        time.sleep(0.001)


def for_a_while():
    """Work in a thread that ends after the main thread."""
    for _ in range(20):
        part("a thread")
        time.sleep(0.002)


async def in_a_loop():
    """End from inside a coroutine while another sleeps."""
    other = asyncio.ensure_future(asyncio.sleep(60))
    with rota.task("awaited"):
        await asyncio.sleep(0.01)
    if EXIT == "SIGINT" and PROCESS != "exec":
        os.kill(os.getpid(), signal.SIGINT)  # from CPython 3.11 on it cancels what is awaited
        await other
    leave()


def main():
    """Begin what is alongside, work, end."""
    if ALONGSIDE in ("threads", "daemons"):
        target = for_a_while if ALONGSIDE == "threads" else for_ever
        for _ in range(3):
            threading.Thread(target=target, daemon=ALONGSIDE == "daemons").start()
    if ALONGSIDE == "executors":
        executor = concurrent.futures.ThreadPoolExecutor(3)
        for _ in range(6):
            executor.submit(for_a_while)
    have_others_work()
    if ALONGSIDE == "asyncio":
        asyncio.run(in_a_loop())
    leave()


if __name__ == "__main__":
    main()
