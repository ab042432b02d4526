"""What a client gets, and with how many calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rota_collector.gathering import Gathering


class Wire:
    """A transport that notes each call that sends something, and an event loop whose turn ends when told."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.later: list[Callable[[], None]] = []
        self.is_closed = False
        self.pause_reading = self.resume_reading = lambda: None

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> Any:
        return name

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.sent.append(b"".join(parts))

    def close(self) -> None:
        self.sent.append("closed")

    def abort(self) -> None:
        self.sent.append("aborted")

    def end_turn(self) -> None:
        for each in self.later:
            each()
        self.later.clear()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def gathering(wire: Wire) -> Gathering:
    return Gathering(wire, wire.later.append)


def test_head_and_body_go_together(wire: Wire, gathering: Gathering) -> None:
    """With one call, and not a second time when the turn ends."""
    gathering.write(b"head ")
    gathering.write(b"body")
    wire.end_turn()
    assert wire.sent == [b"head body"]


def test_what_nothing_follows_goes_at_the_end_of_the_turn(wire: Wire, gathering: Gathering) -> None:
    """A head whose body takes its time, an event of a stream."""
    gathering.write(b"head")
    assert not wire.sent
    wire.end_turn()
    assert wire.sent == [b"head"]


def test_a_stream_keeps_its_order_and_holds_back_no_more_than_one_small_piece(wire: Wire, gathering: Gathering) -> None:
    """Whatever the sizes, so that who does not read is noticed."""
    large = b"x" * 100_000
    for piece in (b"1", b"2", b"3", large, large, b"4"):
        gathering.write(piece)
    assert wire.sent == [b"12", b"3" + large, large]
    wire.end_turn()
    assert wire.sent == [b"12", b"3" + large, large, b"4"]


def test_closing_sends_what_is_held_and_aborting_does_not(wire: Wire, gathering: Gathering) -> None:
    """And nothing comes after either."""
    gathering.write(b"head")
    gathering.close()
    gathering.write(b"late")
    gathering.abort()
    wire.end_turn()
    assert wire.sent == [b"head", "closed", "aborted"]


def test_who_went_away_meanwhile_is_sent_nothing(wire: Wire, gathering: Gathering) -> None:
    """A transport that is closed refuses to be written to."""
    gathering.write(b"head")
    wire.is_closed = True
    wire.end_turn()
    gathering.close()
    assert wire.sent == ["closed"]


def test_what_it_is_asked_is_the_transport_s_answer(gathering: Gathering) -> None:
    """Whether it closes, and who is there."""
    assert not gathering.is_closing()
    assert gathering.get_extra_info("peername") == "peername"
