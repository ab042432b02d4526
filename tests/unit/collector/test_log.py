"""What the collector says on stderr."""

from __future__ import annotations

import asyncio
import json

import pytest

from rota_collector import log
from rota_collector.clock import ManualClock
from rota_collector.log import BURST, WINDOW_SECONDS, Log


class Said:
    """A log, its clock, and its lines so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.clock = ManualClock(1_790_000_000 * 10**9)
        self.log = Log(self.lines.append, self.clock)


@pytest.fixture
def said() -> Said:
    return Said()


def test_a_line_for_people_begins_with_who_says_it(said: Said) -> None:
    """One line, whole."""
    said.log.say("listening on http://127.0.0.1:4318")
    assert said.lines == ["rota collector: listening on http://127.0.0.1:4318\n"]


def test_machines_get_an_object_a_line(said: Said) -> None:
    """With the time in UTC, the level and the same words, whatever is in them."""
    said.log.as_json = True
    said.log.say('two\nlines "quoted"', "warn")
    (line,) = said.lines
    assert line.count("\n") == 1
    assert json.loads(line) == {"time": "2026-09-21T14:13:20.000+00:00", "level": "warn", "message": 'two\nlines "quoted"'}


def test_what_is_below_the_level_is_not_said(said: Said) -> None:
    """And from it on everything is."""
    said.log.least = "warn"
    for level in ("debug", "info", "warn", "error"):
        said.log.say(level, level)
    assert said.lines == ["rota collector: warn\n", "rota collector: error\n"]


def test_the_same_again_and_again_is_said_a_few_times(said: Said) -> None:
    """Then the next one after a minute tells how many were left out; other kinds are said meanwhile."""
    for number in range(BURST + 7):
        said.log.say(f"refused number {number}", "warn", "refused")
    said.log.say("something else")
    assert len(said.lines) == BURST + 1
    said.clock.advance(WINDOW_SECONDS)
    said.log.say("refused again", "warn", "refused")
    assert said.lines[-1] == "rota collector: refused again (7 more like it were not said)\n"
    assert said.log.left_out == 7


def test_what_is_remembered_of_kinds_is_bounded(said: Said) -> None:
    """A flood of different lines takes no memory."""
    for number in range(3000):
        said.log.say(f"line {number}")
    assert len(said.log._kinds) == 1000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key ra_AbCdEfGhIjKlMnOpQrSt-_12 is unknown", "key ra_*** is unknown"),
        ("cannot reach postgresql://me:s3cret@db/x", "cannot reach postgresql://me:***@db/x"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("GET /ping/0123456789abcdef0123/etl failed", "GET /ping/***/etl failed"),
    ],
)
def test_no_secret_is_said(said: Said, text: str, shown: str) -> None:
    """Keys, passwords in addresses, and what stands in an Authorization header."""
    said.log.say(text)
    assert said.lines == [f"rota collector: {shown}\n"]


def test_nothing_that_is_said_moves_the_cursor(said: Said) -> None:
    """What others sent may hold a terminal's own words: they are spelled out."""
    said.log.say("refused \x1b[2Jname\r")
    assert said.lines == ["rota collector: refused \\x1b[2Jname\\r\n"]


def test_what_a_loop_cannot_hand_to_anybody_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No stack for what went wrong beside a request; nothing at all for a read that was given up and then could be done."""

    async def leave_two_behind() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.of_loop)
        given_up = loop.create_future()
        given_up.cancel()
        loop.call_soon(given_up.set_result, None)
        loop.call_soon(int, "nobody waits for this")
        await asyncio.sleep(0)

    asyncio.run(leave_two_behind())
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError" in line
    assert "nobody waits for this" in line
