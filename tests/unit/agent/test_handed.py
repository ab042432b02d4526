"""Connections that one process accepts and another serves."""

from __future__ import annotations

import os
import socket

import pytest

from rota.agent.handed import HandedDoor, hand_over


@pytest.fixture
def ends():
    """Both ends of the channel: who hands over, and the door at which it arrives."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    door = HandedDoor(theirs)
    with ours:
        yield ours, door
    door.close()


def test_a_connection_arrives_as_it_is(ends):
    """What its caller said before is still to be read; who handed it over may close it."""
    ours, door = ends
    accepted, caller = socket.socketpair()
    caller.sendall(b"hello\n")
    assert hand_over(ours, accepted)
    accepted.close()
    with caller, door.accept()[0] as connection:
        assert connection.recv(100) == b"hello\n"
        assert connection.family == socket.AF_UNIX
        assert not os.get_inheritable(connection.fileno())


def test_nobody_waits_for_a_connection(ends):
    """As with a listening socket that does not block."""
    with pytest.raises(BlockingIOError):
        ends[1].accept()


def test_who_handed_over_may_be_gone(ends):
    """That is no connection, and it is told apart."""
    ours, door = ends
    ours.close()
    with pytest.raises(EOFError):
        door.accept()


def test_an_agent_that_takes_nothing_holds_nobody_up(ends):
    """When the channel is full, a connection is not handed over; the porter goes on."""
    ours, _ = ends
    with socket.socket() as connection:
        assert any(not hand_over(ours, connection) for _ in range(100_000))


def test_an_agent_says_what_it_serves(ends):
    """A line, as a path may be: not always text."""
    ours, door = ends
    door.tell("/srv/\udcff")
    assert ours.recv(100) == b"/srv/\xff"
