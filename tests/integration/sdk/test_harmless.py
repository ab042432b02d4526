"""Never harm the host: whatever is wrong around rota, the script does what it did."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest
from scripts import SDK, Outcome, run_script

Run = Callable[..., Outcome]
SCRIPT = "import rota\nrota.watch()\nwith rota.task('t'):\n    print('work done')\n"


def undisturbed(outcome: Outcome) -> bool:
    return (outcome.code, outcome.stdout, outcome.stderr) == (0, b"work done\n", b"")


def test_a_home_that_cannot_be_made(tmp_path: Path, python: str) -> None:
    """With a home that cannot be written, the script runs as ever and nothing is kept."""
    (tmp_path / "file").write_text("")
    (tmp_path / "job.py").write_text(SCRIPT)
    outcome = run_script("", tmp_path / "file" / "home", python, path=tmp_path / "job.py")
    assert undisturbed(outcome)


def test_a_full_home(tmp_path: Path) -> None:
    """With a full disk, the script runs as ever."""
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(full)], capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs root, to mount a tmpfs of one page")
    try:
        script = tmp_path / "job.py"
        script.write_text(SCRIPT)
        outcome = run_script("", full / "home", path=script)
        assert undisturbed(outcome)
    finally:
        subprocess.run(["umount", str(full)], check=True)


@pytest.mark.parametrize("flags", [("-W", "error"), ("-O",), ("-B",), ("-X", "dev")], ids=" ".join)
def test_under_interpreter_flags(home: Path, python: str, flags: tuple[str, ...]) -> None:
    """Warnings as errors, no asserts, development mode: no word from rota."""
    assert undisturbed(run_script(SCRIPT, home, python, flags=flags))


def test_with_closed_standard_streams(home: Path) -> None:
    """With stdin, stdout and stderr closed, the exit status is the script's."""
    closing = """
        import os, subprocess, sys
        if len(sys.argv) > 1:
            import rota
            rota.watch()
            sys.exit(3)
        close = lambda: [os.close(n) for n in (0, 1, 2)]
        sys.exit(subprocess.run([sys.executable, __file__, "inner"], preexec_fn=close).returncode)
    """
    outcome = run_script(closing, home)
    assert outcome.code == 3
    assert outcome.states() == ["running", "failed"]


def test_a_program_that_closes_all_descriptors(run: Run) -> None:
    """A program that closes descriptors it did not open, and reuses their numbers, finds no byte of ours in its files."""
    outcome = run("""
        import os
        import rota
        rota.watch()
        os.closerange(3, 256)
        mine = [os.open(os.path.join(os.environ["ROTA_HOME"], "..", "mine%d" % i), os.O_RDWR | os.O_CREAT) for i in range(20)]
        for i in range(100):
            with rota.task("t"):
                pass
    """)
    assert outcome.code == 0, outcome.stderr
    assert [p.stat().st_size for p in outcome.home.parent.glob("mine*")] == [0] * 20
    assert outcome.states() == ["running", "succeeded"]


@pytest.fixture(params=["closed", "silent", "garbage", "refusing", "hangs up", "floods", "boasts"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address with something wrong at it."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = "http://127.0.0.1:%d" % listener.getsockname()[1]
    answer = {
        "garbage": b"\x00\xff nonsense\r\n\r\n",
        "refusing": b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n",
        "hangs up": b"",
        "floods": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65536,
        "boasts": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    }.get(request.param)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.recv(65536)
                if answer:
                    connection.sendall(answer)
                while request.param == "floods":
                    connection.sendall(b"x" * 65536)

    if request.param == "closed":
        listener.close()
    elif answer is not None:
        threading.Thread(target=serve, daemon=True).start()
    yield address
    listener.close()


def test_an_endpoint_that_does_not_take_it(home: Path, endpoint: str) -> None:
    """Closed, silent, babbling or refusing: the script is undisturbed and every fact waits in `left/`."""
    outcome = run_script(SCRIPT, home, environment={"ROTA_ENDPOINT": endpoint})
    assert undisturbed(outcome)
    assert outcome.states() == ["running", "succeeded"]
    assert {p.parent.name for p in (home / "spool").rglob("*.jsonl")} == {"left"}


def test_an_endpoint_that_says_yes_to_more_than_it_was_asked(home: Path) -> None:
    """Answers without an end to one request are no hang, no error, and no acknowledgement of what comes later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def agree() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with contextlib.suppress(OSError), listener.accept()[0] as caller:
                        while caller.recv(65536):
                            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 1000)

        threading.Thread(target=agree, daemon=True).start()
        outcome = run_script(SCRIPT, home, environment={"ROTA_ENDPOINT": "http://127.0.0.1:%d" % listener.getsockname()[1]})
    assert undisturbed(outcome)
    assert (outcome.errors, outcome.states()) == ("", ["running", "succeeded"])


def test_a_silent_endpoint_is_left_alone_for_a_while(home: Path) -> None:
    """An endpoint that took the connection and said nothing is marked, and the next script does not even connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = {"ROTA_ENDPOINT": "http://127.0.0.1:%d" % listener.getsockname()[1]}
        run_script(SCRIPT, home, environment=address)
        assert (home / "spool" / "silent").exists()
        listener.accept()[0].close()
        run_script(SCRIPT, home, environment=address)
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_recursion_to_the_limit(home: Path, python: str) -> None:
    """A RecursionError reaches the script even when it first struck inside rota."""
    source = """
        import rota
        rota.watch()
        @rota.task
        def deep(n): return deep(n + 1)
        try:
            deep(0)
        except RecursionError:
            print("work done")
    """
    assert undisturbed(run_script(source, home, python))


def test_the_clock_set_back_gives_no_negative_duration(run: Run) -> None:
    """A wall clock that jumps back in the middle of a run does not make it end before it began."""
    outcome = run("""
        import time
        import rota
        rota.watch()
        with rota.task("t"):
            real = time.time_ns
            time.time_ns = lambda: real() - 3_600_000_000_000
    """)
    assert all(int(s["endTimeUnixNano"]) >= int(s["startTimeUnixNano"]) for s in outcome.spans)
    assert outcome.last["rota.run.state"] == "succeeded"


def test_it_leaves_no_descriptor_to_children(run: Run) -> None:
    """Descriptors of rota are closed in every program that the script starts."""
    outcome = run("""
        import os, subprocess
        before = set(os.listdir("/proc/self/fd"))
        import rota
        rota.watch()
        out = subprocess.run(["ls", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False).stdout.split()
        assert len(out) <= 4, out
    """)
    assert outcome.code == 0, outcome.stderr


def test_importing_it_imports_nothing_heavy(python: str) -> None:
    """`import rota; rota.watch()` loads no json, socket, threading, subprocess, logging, typing or http."""
    code = "import sys; before = set(sys.modules); import rota; rota.watch(); print(*set(sys.modules) - before)"
    env = {**os.environ, "PYTHONPATH": str(SDK), "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": "/nonexistent/rota"}
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=True)
    accelerators = {"_socket", "_json", "_contextvars", "_collections", "fcntl", "select", "atexit", "errno"}
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {"rota", "__future__"} | accelerators


def test_the_public_names_are_these(python: str) -> None:
    """The public surface is pinned: a new name is a decision."""
    code = "import rota; print(*rota.__all__); assert all(callable(getattr(rota, name)) for name in rota.__all__)"
    done = subprocess.run(
        [python, "-c", code], env={**os.environ, "PYTHONPATH": str(SDK)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "GateDenied current record run task traceparent watch\n"


def test_a_long_life_is_spooled_in_bounded_files(run: Run) -> None:
    """A spool that grows is cut into files; when they are too many the oldest spans go first, and the loss is told."""
    outcome = run("""
        import rota, rota._spool as spool
        spool.ROTATE_BYTES, spool.KEEP_SPAN_FILES = 20_000, 2
        rota.watch()
        for i in range(2_000):
            with rota.task("t%d" % i):
                pass
    """)
    names = [s["name"] for s in outcome.spans]
    assert outcome.states() == ["running", "succeeded"]
    assert ("t1999" in names, "t0" in names) == (True, False)
    assert len(names) + outcome.last["rota.dropped.spans"] == 2_001
