"""The loop that looks at a system again and again, and what it remembers."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from collectors import clean_environment, until

from rota.foreign import Source
from rota.wire import names
from rota_integrations import following
from rota_integrations.following import Later, follow


class Script:
    """A follower that does what it is told to at each look in turn: learn a word, or raise."""

    def __init__(self, *looks: str | Exception, where: str = "") -> None:
        self.looks, self.found, self.where = list(looks), list[dict[str, Any]](), where
        self.host: str | None = None

    def look(self, memory: dict[str, Any]) -> None:
        self.found.append(dict(memory))
        does = self.looks.pop(0)
        memory["words"] = [*memory.get("words", []), str(does)]
        if isinstance(does, Exception):
            raise does


class Waits:
    """Waits no time at all, as often as there are looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.asked = looks, list[float]()

    def __call__(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return len(self.asked) == self.looks


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the memory is."""
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "observers"


def followed(script: Script, told: Callable[[], object] = lambda: None) -> list[float]:
    """How long was waited after each look, when they were asked for every 5 seconds."""
    waits = Waits(len(script.looks))
    assert follow("system", script, 5.0, told=told, wait=waits) == 0
    return waits.asked


class Scheduled(Script):
    """One that also says what is scheduled, at each look in turn, or raises."""

    def __init__(self, *said: dict[str, dict[str, str]] | Exception) -> None:
        super().__init__(*["looks"] * len(said))
        self.said = list(said)

    def schedules(self) -> dict[str, dict[str, str]]:
        says = self.said.pop(0)
        if isinstance(says, Exception):
            raise says
        return says


def cron(spec: str) -> dict[str, str]:
    """As a room says it."""
    return {names.SCHEDULE_SPEC: spec}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str | None]]:
    """By workflow, what was told one after the other; None: that it is not scheduled."""
    found: dict[str, list[str | None]] = {}

    class Recorder(Source):
        def schedule(self, workflow: str, declared: Mapping[str, str], at_ns: int) -> None:
            found.setdefault(workflow, []).append(declared.get(names.SCHEDULE_SPEC))

    monkeypatch.setattr(following, "Source", Recorder)
    return found


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_schedules_are_told_when_they_change_also_over_a_restart(home: Path, told: dict[str, list[str | None]]) -> None:
    """One that is there no more is taken back; one that stays is told once."""
    daily, weekly, hourly = cron("0 0 * * *"), cron("0 0 * * 0"), cron("0 * * * *")
    followed(Scheduled({"a": daily, "b": daily, "c": daily}, {"a": daily, "b": weekly, "c": {}}))
    followed(Scheduled({"a": daily, "b": weekly, "c": hourly}, {"a": daily}))
    assert told == {
        "a": ["0 0 * * *"], "b": ["0 0 * * *", "0 0 * * 0", None], "c": ["0 0 * * *", None, "0 * * * *", None],
    }  # fmt: skip


def test_where_schedules_cannot_be_read_they_stay_and_runs_are_told(
    home: Path, told: dict[str, list[str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once: nobody may have permitted it."""
    script = Scheduled({"a": cron("0 0 * * *")}, OSError("403 Forbidden"), OSError("403 Forbidden"))
    followed(script)
    assert told == {"a": ["0 0 * * *"]}
    assert json.loads((home / "system.json").read_text())["seen"] == {"words": ["looks"] * 3}
    assert capsys.readouterr().err.count("403 Forbidden") == 1


# -- that somebody looks -------------------------------------------------------------------------------------------------


class Looked(NamedTuple):
    """What was told of a look."""

    place: str
    every_seconds: float
    problem: str
    host: str | None


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Looked]:
    """What was told of looks, one after the other."""
    found: list[Looked] = []

    class Recorder(Source):
        def looked(
            self, place: str, at_ns: int, every_seconds: float, problem: str = "", host: str | None = None
        ) -> None:  # fmt: skip
            assert 0 <= time.time_ns() - at_ns < 60 * 10**9
            found.append(Looked(place, every_seconds, problem, host))

    monkeypatch.setattr(following, "Source", Recorder)
    return found


def test_that_somebody_looks_is_told_now_and_then(home: Path, looked: list[Looked], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after every look: every ten seconds, which is what whoever waits for the next word can count on."""
    passed = iter(range(0, 1000, 4))  # seconds
    monkeypatch.setattr(following.time, "monotonic", lambda: next(passed))
    followed(Script(*"abcdefg"))
    assert looked == [Looked("", 10.0, "", None)] * 3


def test_that_it_cannot_look_is_told_at_once_and_so_is_that_it_can(home: Path, looked: list[Looked]) -> None:
    """With the reason, and when it tries again."""
    followed(Script("a", OSError("away"), OSError("away"), "b"))
    assert looked == [
        Looked("", 10.0, "", None), Looked("", 10.0, "OSError: away", None), Looked("", 10.0, "", None),
    ]  # fmt: skip


def test_the_place_is_told_apart_and_not_told(home: Path, looked: list[Looked]) -> None:
    """An address may hold what is nobody else's business; who sees one host says which."""
    followed(Script("a", where="https://ada:secret@prefect"))
    bound = Script("a")
    bound.host = "h1"
    followed(bound)
    assert len(looked[0].place) == 16
    assert int(looked[0].place, 16)
    assert looked[1] == Looked("", 10.0, "", "h1")


def test_one_look_is_not_told(home: Path, looked: list[Looked]) -> None:
    """Nobody waits for another."""
    assert follow("system", Script("a"), 5.0, once=True, told=lambda: None) == 0
    assert looked == []


# -- memory ------------------------------------------------------------------------------------------------------------


def test_what_a_look_learned_is_there_at_the_next_and_after_a_restart(home: Path) -> None:
    """It is a file of JSON."""
    script = Script("a", "b")
    followed(script)
    again = Script("c")
    followed(again)
    assert (script.found, again.found) == ([{}, {"words": ["a"]}], [{"words": ["a", "b"]}])
    assert json.loads((home / "system.json").read_text())["seen"] == {"words": ["a", "b", "c"]}


def test_a_look_that_fails_leaves_no_memory(home: Path) -> None:
    """So that the next one tells all of it again."""
    script = Script("a", ValueError("no"), Later(1), "b")
    followed(script)
    assert script.found == [{}, {"words": ["a"]}, {"words": ["a"]}, {"words": ["a"]}]


def test_memory_is_kept_only_when_what_was_told_has_left(home: Path) -> None:
    """Else a crash in between would lose it."""
    seen: list[bool] = []
    followed(Script("a"), told=lambda: seen.append((home / "system.json").exists()))
    assert (seen, (home / "system.json").exists()) == ([False], True)


def test_a_look_that_learns_nothing_writes_nothing(home: Path) -> None:
    """A disk has better things to do every few seconds."""

    class Quiet:
        def look(self, memory: dict[str, Any]) -> None:
            memory["looks"] = 1

    assert follow("system", Quiet(), 5.0, told=lambda: None, wait=Waits(1)) == 0
    before = (home / "system.json").stat().st_ino
    assert follow("system", Quiet(), 5.0, told=lambda: None, wait=Waits(3)) == 0
    assert (home / "system.json").stat().st_ino == before


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"words": ["a"]'])
def test_a_damaged_memory_is_said_and_everything_is_looked_at_anew(
    home: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is told twice is told once, so nothing is lost."""
    home.mkdir(parents=True)
    (home / "system.json").write_bytes(damage)
    script = Script("a")
    followed(script)
    assert script.found == [{}]
    assert "system.json cannot be read" in capsys.readouterr().err
    assert json.loads((home / "system.json").read_text())["seen"] == {"words": ["a"]}


def test_two_places_of_one_system_have_memories_of_their_own(home: Path) -> None:
    """As two accounts, or two servers, looked at from one host."""
    followed(Script("a", where="one"))
    other = Script("b", where="two")
    followed(other)
    assert other.found == [{}]
    assert len(list(home.glob("*.json"))) == 2


def test_a_home_that_cannot_be_written_is_a_problem_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """And the looking goes on."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "file"))
    script = Script("a", "b")
    followed(script)
    assert script.found == [{}, {}]
    assert capsys.readouterr().err.count("could not look") == 1


TELLING = """
    import sys, time
    from rota.foreign import Source
    from rota_integrations.following import follow
    class Counting:
        def look(self, memory):
            number = memory["number"] = memory.get("number", 0) + 1
            if number <= 3:
                key = ("seen.from.outside", str(number))
                Source("made").run("seen.from.outside", key, "succeeded", number * 10**9, started_ns=10**9)
            elif number == 4:
                print("told", flush=True)
            else:
                time.sleep(0.05)
    sys.exit(follow("made", Counting(), 0.01))
"""


def observed(collector: Any) -> list[str]:
    """The workflows that are known from systems that somebody looks at."""
    with contextlib.closing(sqlite3.connect(collector.home / "control.sqlite")) as control:
        return [workflow for (workflow,) in control.execute("SELECT workflow FROM observed JOIN observers USING (source)")]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_told_leaves_while_the_observer_lives(host: str, tmp_path: Path, shared_collector: Any) -> None:
    """Also where neither an agent nor plain HTTP to an address takes it: shippers do, which a script would start at its end."""
    port = shared_collector.url.rpartition(":")[2]
    environment = clean_environment(ROTA_HOME=str(tmp_path), ROTA_ENDPOINT=f"http://{host}:{port}", ROTA_AGENT="off")
    command = [sys.executable, "-c", textwrap.dedent(TELLING).replace("seen.from.outside", f"seen.by.{host}")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "told\n"
            until(lambda: len(shared_collector.item("/runs", workflow=f"seen.by.{host}")["items"]) == 3, "the runs to be there")
            until(lambda: f"seen.by.{host}" in observed(shared_collector), "the collector to know that somebody looks")
        finally:
            process.terminate()
    assert process.returncode == 0


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_problem_is_said_once_and_so_is_its_end(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not at every look."""
    followed(Script(OSError("away"), OSError("away"), OSError("worse"), "a", "b"))
    assert capsys.readouterr().err.splitlines() == [
        "rota observe system: could not look (OSError: away). It is tried again",
        "rota observe system: could not look (OSError: worse). It is tried again",
        "rota observe system: looks again",
    ]


def test_who_does_not_answer_is_asked_less_and_less_often(home: Path) -> None:
    """Up to once a minute; then as before."""
    away = [OSError("away")] * 5
    assert followed(Script(*away, "a", OSError("away"))) == [10, 20, 40, 60, 60, 5, 10]


def test_a_system_that_asks_for_time_gets_it_without_a_word(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As long as it says, not less than usual; who does not say how long, twice as long each time."""
    assert followed(Script(Later(90), Later(1), Later(), Later(), "a")) == [90, 5, 10, 20, 5]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("does", "status"), [("a", 0), (OSError("away"), 1), (Later(9), 1)])
def test_one_look_says_by_its_exit_status_whether_all_was_told(home: Path, does: Any, status: int, capsys: Any) -> None:
    """And why not."""
    assert follow("system", Script(does), 5.0, once=True, told=lambda: None) == status
    assert ("could not look" in capsys.readouterr().err) == bool(status)
