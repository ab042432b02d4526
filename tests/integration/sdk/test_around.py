"""Where a program finds itself: no streams, no descriptors, no sockets, no directory, no home, names that are no text."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipapp
from pathlib import Path
from typing import Callable

import pytest
from scripts import SDK, WITHOUT, Outcome, read_back

Run = Callable[..., Outcome]

TO_THE_END = ["running", "succeeded"]
WORK = """
import rota
rota.watch()
with rota.task("t"):
    print("work done")
"""


@pytest.mark.parametrize("flags", [("-I",), ("-E", "-s"), ("-S",), ("-OO",), ("-bb",), ("-I", "-W", "error")], ids=" ".join)
def test_under_other_interpreter_flags(same: Run, flags: tuple[str, ...]) -> None:
    """Isolated, without site-packages, without docstrings, with errors for mixed text: nothing changes, and the run is kept."""
    outcome = same("import os, sys\nsys.path.append(os.environ['PYTHONPATH'])\n" + WORK, flags=flags)
    assert (outcome.errors, outcome.states()) == ("", TO_THE_END)


def test_inside_a_zipapp(home: Path, python: str, tmp_path: Path) -> None:
    """In an archive that has rota in it, the run is known by the archive's name."""
    told = []
    for number, rota in enumerate((SDK, WITHOUT)):
        application = tmp_path / str(number)
        shutil.copytree(rota, application, ignore=shutil.ignore_patterns("__pycache__"))
        (application / "__main__.py").write_text(WORK)
        zipapp.create_archive(application, tmp_path / f"{number}.pyz")
        settings = {"ROTA_HOME": str(home), "ROTA_AGENT": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_DETACH": "off"}
        command = [python, str(tmp_path / f"{number}.pyz")]
        done = subprocess.run(command, env=settings, capture_output=True, timeout=60, check=False)
        told.append((done.returncode, done.stdout, done.stderr))
    assert told[0] == told[1] == (0, b"work done\n", b"")
    outcome = read_back(Outcome(*told[0], home))
    assert (outcome.errors, outcome.states()) == ("", TO_THE_END)
    assert outcome.last["cicd.pipeline.name"] == "0"


GONE = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"


@pytest.mark.parametrize("home_is_kept", [True, False])
def test_in_a_directory_that_was_deleted(same: Run, home_is_kept: bool) -> None:
    """A program whose working directory is gone runs on; unless its home is given relative to that, its run is kept."""
    elsewhere = "" if home_is_kept else "os.environ['ROTA_HOME'] = 'home'\n"
    outcome = same(
        "import os, tempfile\nos.chdir(tempfile.gettempdir())\n" + GONE.replace("gone", f"gone-{os.getpid()}") + elsewhere + WORK
    )
    assert outcome.states() == (TO_THE_END if home_is_kept else [])


def test_a_user_without_a_home(same: Run) -> None:
    """A user id that nobody knows, with no HOME, has no directory called `~`: none is made where the program happens to be."""
    outcome = same("""
        import os, pwd
        def nobody(number):
            raise KeyError(number)
        pwd.getpwuid = nobody
        for name in ("HOME", "ROTA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)
        os.geteuid = lambda: 54321
        import rota
        if hasattr(rota, "traceparent"):
            from rota import _config
            assert _config.home() == "/var/lib/rota", _config.home()
    """)
    assert outcome.code == 0, outcome.stderr


def test_a_home_that_may_only_be_read(same: Run, home: Path) -> None:
    """On a file system mounted read-only nothing is kept, and nothing changes."""
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system that may only be read needs root, to mount one")
    try:
        assert same(WORK).states() == []
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_with_eight_descriptors(same: Run) -> None:
    """Under `ulimit -n 8` the program has the descriptors that its work needs."""
    outcome = same("""
        import resource, subprocess
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
        import rota
        rota.watch()
        with rota.task("t"):
            print(open("/proc/self/comm").read() != "", subprocess.call(["true"]))
    """)
    assert (outcome.code, outcome.states()) == (0, TO_THE_END)


@pytest.mark.parametrize("watched", ["before", "after"])
def test_with_no_descriptor_left(same: Run, watched: str) -> None:
    """A program that has used up its descriptors goes on as ever, though no file of ours can be read; a run begun before ends."""
    outcome = same(f"""
        import os, resource
        import rota
        {"rota.watch()" if watched == "before" else ""}
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            print("none is left")
        rota.watch()
        @rota.task
        def function(): print("a function")
        function()
        with rota.task("t"):
            rota.record(rows=3)
        for number in taken:
            os.close(number)
        print("work done")
        """)
    assert outcome.stdout == b"none is left\na function\nwork done\n", outcome.stderr
    assert outcome.states() == (TO_THE_END if watched == "before" else [])


# Every socket(2) of this process and its children is refused, as a sandbox does.
NO_SOCKETS = """
import ctypes, os, platform, struct
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 1), (0x06, 0, 0, 0x7FFF0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(filters)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
import socket
try:
    socket.socket()
except PermissionError:
    print("no sockets here")
"""


@pytest.mark.parametrize("agent", ["off", "there"])
def test_where_sockets_are_forbidden(same: Run, agent: str, tmp_path: Path) -> None:
    """A sandbox that refuses every socket changes nothing, and the facts wait in the spool."""
    (tmp_path / "socket").touch()
    agent = "off" if agent == "off" else str(tmp_path / "socket")
    outcome = same(NO_SOCKETS + WORK, environment={"ROTA_AGENT": agent})
    assert outcome.stdout == b"no sockets here\nwork done\n", outcome.stderr
    assert (outcome.errors, outcome.states()) == ("", TO_THE_END)


def test_it_takes_no_standard_stream(same: Run) -> None:
    """In a program that was started without standard streams, no file and no connection of rota gets one of their numbers."""
    outcome = same("""
        import os
        report = os.dup(2)
        os.closerange(0, 3)
        import rota
        rota.watch()
        with rota.task("t"):
            pass
        for number in range(3):
            try:
                os.fstat(number)
                os.write(report, b"%d is open" % number)
            except OSError:
                pass
    """)
    assert (outcome.stderr, outcome.errors, outcome.states()) == (b"", "", TO_THE_END)


def test_names_that_are_no_text(same: Run, tmp_path: Path) -> None:
    """Script, arguments, environment and home may be bytes that no encoding knows."""
    path = tmp_path / os.fsdecode(b"job-\xff.py")
    path.write_text("""
import os, sys, rota
rota.watch()
with rota.task(sys.argv[1]):
    rota.record(**{sys.argv[1]: sys.argv[1], "where": __file__, "of": os.environ["NAME"], "raw": b"\\xff"})
print(os.fsencode(sys.argv[1]))
""")
    environment = {
        "NAME": os.fsdecode(b"\xfe"),
        "ROTA_WORKFLOW": os.fsdecode(b"work-\xfd"),
        "OTEL_RESOURCE_ATTRIBUTES": os.fsdecode(b"team=\xfc"),
        "ROTA_TOKEN": os.fsdecode(b"\xfb"),
        "ROTA_HOME": str(tmp_path / os.fsdecode(b"home-\xfa")),
        "LC_ALL": "C",
    }
    outcome = same("", path=path, args=(os.fsdecode(b"\xf9"),), environment=environment)
    outcome = read_back(Outcome(outcome.code, outcome.stdout, outcome.stderr, Path(environment["ROTA_HOME"])))
    assert (outcome.code, outcome.errors, outcome.states()) == (0, "", TO_THE_END)
    assert outcome.last["cicd.pipeline.name"] == "work-\ufffd"
    assert "\ufffd" in [span["name"] for span in outcome.spans]
