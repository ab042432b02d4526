"""The agent's door: who may say hello, and who says it."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

import pytest

from rota.agent import door
from rota.agent.door import Caller, DoorError, open_door

HELLO = b'{"hello":1,"pid":7,"spool":"/home/u/rota/spool","stem":"7-00ff"}\n'

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: elsewhere the kernel does not say who calls")


@pytest.fixture
def pair():
    """Both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_hello_says_process_and_spool(pair):
    """The pid and a pidfd come from the kernel, whatever the line says; spool and stem come from the line."""
    caller = Caller(pair[0])
    pair[1].sendall(HELLO)
    hello = caller.read()
    assert hello is not None
    assert (hello.pid, hello.spool, hello.stem) == (os.getpid(), "/home/u/rota/spool", "7-00ff")
    assert hello.pidfd is not None
    assert not os.get_inheritable(hello.pidfd)
    os.close(hello.pidfd)
    caller.close()


def test_an_older_kernel_names_the_caller_by_its_pid(pair, monkeypatch):
    """Without SO_PEERPIDFD the pidfd is opened by number."""
    monkeypatch.setattr(door, "_SO_PEERPIDFD", 9999)
    caller = Caller(pair[0])
    pair[1].sendall(HELLO)
    hello = caller.read()
    assert hello is not None
    assert hello.pidfd is not None
    os.close(hello.pidfd)
    caller.close()


def test_a_caller_that_is_gone_is_not_looked_for_by_its_number():
    """Linux 6.5 to 6.15 name nobody for a caller that was reaped; its number may be another process's by then."""

    class OfOneGone:
        def setblocking(self, _: bool) -> None:
            pass

        def getsockopt(self, level: int, option: int, size: int = 0) -> bytes:
            if size:
                return struct.pack("3i", os.getpid(), os.geteuid(), os.getegid())
            raise ProcessLookupError(errno.ESRCH, "No such process")

        def recv(self, size: int) -> bytes:
            return HELLO

        def close(self) -> None:
            pass

    hello = Caller(OfOneGone()).read()
    assert hello is not None
    assert hello.pidfd is None


def test_a_hello_may_come_in_pieces(pair):
    """Nothing is heard before the line is whole."""
    caller = Caller(pair[0])
    assert caller.read() is None
    pair[1].sendall(HELLO[:20])
    assert caller.read() is None
    pair[1].sendall(HELLO[20:])
    hello = caller.read()
    assert hello is not None
    assert hello.pidfd is not None
    os.close(hello.pidfd)
    caller.close()


@pytest.mark.parametrize("uid", [0, os.geteuid()], ids=["root", "owner"])
def test_root_and_the_owner_are_heard(pair, monkeypatch, uid):
    """An agent serves its own user, and root."""
    monkeypatch.setattr(door, "credentials", lambda connection: (os.getpid(), uid))
    caller = Caller(pair[0])
    pair[1].sendall(HELLO)
    hello = caller.read()
    assert hello is not None
    assert hello.pidfd is not None
    os.close(hello.pidfd)
    caller.close()


def test_another_user_is_refused(pair, monkeypatch):
    """Though the socket's mode should have kept it out."""
    monkeypatch.setattr(door, "credentials", lambda connection: (os.getpid(), 54321))
    caller = Caller(pair[0])
    pair[1].sendall(HELLO)
    with pytest.raises(ValueError, match="uid 54321"):
        caller.read()
    caller.close()


def test_a_refused_caller_leaves_no_descriptor_open(pair):
    """An agent that runs for months leaks nothing."""
    before = len(os.listdir("/proc/self/fd"))
    caller = Caller(pair[0])
    pair[1].sendall(b"nonsense\n")
    with pytest.raises(ValueError, match="no hello"):
        caller.read()
    caller.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1  # the connection is closed too


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    """The error says which path, why, and what to set."""
    path = str(tmp_path / ("x" * 200))
    with pytest.raises(DoorError, match="too long") as caught:
        open_door(path)
    assert path in str(caught.value)
    assert "ROTA_AGENT" in str(caught.value)


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path):
    """ROTA_AGENT may name anything by mistake, and root may remove anything."""
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(DoorError, match="no socket"):
        open_door(str(path))
    assert path.read_text() == "data"


def test_the_socket_of_a_successor_stays(tmp_path):
    """An upgrade may start the new agent before the old one has ended."""
    path = tmp_path / "agent.sock"
    old = open_door(str(path))
    path.unlink()
    new = open_door(str(path))
    old.close()
    assert path.is_socket()
    new.close()
    assert not path.exists()
