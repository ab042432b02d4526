"""The spool as a shipper sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rota.agent import spool as spool_module
from rota.agent.progress import Progress
from rota.agent.spool import Spool, is_rotated, signal_of, stem_of, unrotated

STEM = "4242-00ff00ff00ff00ff"
HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def spool(tmp_path) -> Spool:
    """An empty spool."""
    for name in ("live", "left"):
        (tmp_path / name).mkdir()
    return Spool(str(tmp_path))


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process that holds the lock of a file; its pid."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.communicate()


def put(directory: str, name: str, data: bytes = b"{}\n") -> Path:
    """A file in the spool."""
    path = Path(directory, name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "signal", "rotated", "was"),
    [
        (f"{STEM}.logs.jsonl", "logs", False, f"{STEM}.logs.jsonl"),
        (f"{STEM}.12.traces.jsonl", "traces", True, f"{STEM}.traces.jsonl"),
        (f"{STEM}.metrics.jsonl", "", False, f"{STEM}.metrics.jsonl"),
        ("once.lock", "", False, "once.once.lock"),
    ],
)
def test_names_tell_process_and_signal(name, signal, rotated, was):
    """What is no spool file is left alone."""
    assert (signal_of(name), is_rotated(name)) == (signal, rotated)
    if signal:
        assert (stem_of(name), unrotated(name)) == (STEM, was)


def test_a_file_is_read_in_whole_lines(spool):
    """A line that is being written is read when it is whole; empty lines are nothing."""
    put(spool.live, f"{STEM}.logs.jsonl", b'{"a":1}\n\n{"b":2}\n{"c"')
    chunk = spool.read(spool.live, f"{STEM}.logs.jsonl", lambda inode: 0)
    assert chunk.lines == [b'{"a":1}', b'{"b":2}']
    assert spool.read(spool.live, f"{STEM}.logs.jsonl", lambda inode: chunk.next_offset).lines == []


def test_a_line_longer_than_a_chunk_is_no_dead_end(spool, monkeypatch):
    """It comes in pieces, and what follows it comes after."""
    monkeypatch.setattr(spool_module, "CHUNK_BYTES", 8)
    put(spool.left, f"{STEM}.logs.jsonl", b"x" * 20 + b"\n{}\n")
    offset, lines = 0, []
    while True:
        chunk = spool.read(spool.left, f"{STEM}.logs.jsonl", lambda inode, at=offset: at)
        lines += chunk.lines
        if chunk.next_offset == offset:
            break
        offset = chunk.next_offset
    assert b"".join(lines[:-1]) == b"x" * 20
    assert lines[-1] == b"{}"


def test_the_writer_of_a_file_is_known(spool):
    """The kernel tells who holds the lock, without our taking it."""
    path = put(spool.live, f"{STEM}.traces.jsonl")
    with held(path) as pid, spool.mutex:
        assert spool.holder_held(STEM) == pid
    with spool.mutex:
        assert spool.holder_held(STEM) == 0


def test_where_the_kernel_does_not_tell_who_it_tells_whether(spool, monkeypatch):
    """Elsewhere the lock is tried: somebody has it, or nobody."""
    monkeypatch.setattr(spool_module, "_CAN_ASK_HOLDER", False)
    path = put(spool.live, f"{STEM}.logs.jsonl")
    with held(path), spool.mutex:
        assert spool.holder_held(STEM) is None
    with spool.mutex:
        assert spool.holder_held(STEM) == 0


def test_only_a_dead_file_can_be_claimed(spool):
    """A file whose writer lives is nobody else's."""
    path = put(spool.live, f"{STEM}.logs.jsonl")
    with held(path), spool.mutex:
        assert spool.claim_held(spool.live, path.name) is None
    with spool.mutex:
        claim = spool.claim_held(spool.live, path.name)
        assert claim is not None
        with claim:
            pass


def test_a_file_that_was_just_made_is_not_claimed(spool):
    """Its writer may not have come to locking it yet."""
    path = put(spool.live, f"{STEM}.logs.jsonl", b"")
    with spool.mutex:
        assert spool.claim_held(spool.live, path.name) is None
        os.utime(path, (1, 1))
        claim = spool.claim_held(spool.live, path.name)
        assert claim is not None
        with claim:
            pass


def test_a_claim_locks_out_other_shippers(spool):
    """Until it is closed."""
    path = put(spool.left, f"{STEM}.logs.jsonl")
    attempt = f"import fcntl,os; fcntl.lockf(os.open({str(path)!r}, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with spool.mutex:
        claim = spool.claim_held(spool.left, path.name)
        assert claim is not None
        with claim:
            assert subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 1
        assert subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 0


def test_a_torn_line_stands_alone(spool):
    """What a killed writer could not finish does not run into what is appended."""
    path = put(spool.left, f"{STEM}.logs.jsonl", b'{"a":1}\n{"tor')
    with spool.mutex:
        claim = spool.claim_held(spool.left, path.name)
        assert claim is not None
        with claim:
            claim.append([b'{"b":2}\n'])
    assert path.read_bytes() == b'{"a":1}\n{"tor\n{"b":2}\n'


def test_a_file_that_grew_is_not_removed(spool):
    """Between our reading and our removing, somebody may have appended."""
    path = put(spool.left, f"{STEM}.logs.jsonl", b"{}\n{}\n")
    with spool.mutex:
        claim = spool.claim_held(spool.left, path.name)
        assert claim is not None
        with claim:
            inode = path.stat().st_ino
            assert not claim.unlink_if(inode, 3)
            assert path.exists()
            assert not claim.unlink_if(inode + 1, 6)
            assert path.exists()
            assert claim.unlink_if(inode, 6)
            assert not path.exists()


def test_a_link_is_not_followed(spool, tmp_path):
    """Whoever can write a spool cannot make the agent read another file."""
    secret = put(str(tmp_path), "secret")
    os.symlink(secret, Path(spool.left, f"{STEM}.logs.jsonl"))
    with pytest.raises(OSError, match="symbolic links"):
        spool.read(spool.left, f"{STEM}.logs.jsonl", lambda inode: 0)


def test_the_files_of_a_process_come_oldest_first(spool):
    """Rotated parts by their number, then the file that was written last."""
    for directory, name in ((spool.left, f"{STEM}.10.logs.jsonl"), (spool.left, f"{STEM}.2.logs.jsonl")):
        put(directory, name)
    put(spool.live, f"{STEM}.logs.jsonl")
    put(spool.left, "4242-00ff00ff00ff00ffa.logs.jsonl")
    assert [name for _, name in spool.parts(STEM)] == [f"{STEM}.2.logs.jsonl", f"{STEM}.10.logs.jsonl", f"{STEM}.logs.jsonl"]


def test_progress_follows_a_rotated_file():
    """A file that moves keeps its offset under its new name; the file that takes its name begins at 0."""
    progress, live, rotated = Progress(), f"{STEM}.logs.jsonl", f"{STEM}.1.logs.jsonl"
    progress.advance(live, 7, 100)
    assert progress.offset(rotated, 7) == 100
    assert progress.offset(live, 8) == 0
    progress.advance(live, 8, 50)
    assert (progress.offset(rotated, 7), progress.offset(live, 8)) == (100, 50)


def test_progress_forgets_files_that_are_gone():
    """Their inodes are used again, for files of which nothing was sent."""
    progress, name = Progress(), f"{STEM}.logs.jsonl"
    progress.advance(name, 7, 100)
    progress.advance(name, 8, 50)
    progress.keep_only([])
    assert (progress.offset(name, 7), progress.offset(name, 8)) == (0, 0)
