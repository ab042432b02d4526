"""What is carried, removed, set aside, kept: files in a spool, and a shipper that answers as told."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from otlp_receiver import records, span_line, state_line
from scripts import plain

from rota.agent import carrier as carrier_module
from rota.agent.answer import Unavailable
from rota.agent.carrier import Carrier
from rota.agent.spool import CHUNK_BYTES, Spool
from rota.wire import names

STEM = "4242-00ff00ff00ff00ff"
OTHER = "4343-00ff00ff00ff00ff"


class Shipper:
    """Takes lines, unless it is told that nobody is there; refuses those that it is told to refuse."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.is_away = False
        self.refused = b"\0"

    def ship(self, signal: str, lines: Sequence[bytes]) -> list[int]:
        if self.is_away:
            raise Unavailable("away")
        assert signal in ("logs", "traces")
        self.lines += [line for line in lines if self.refused not in line]
        return [index for index, line in enumerate(lines) if self.refused in line]

    def said(self) -> list[tuple[str, str | None]]:
        """(state, reason) of the run states taken."""
        found = []
        for line in self.lines:
            for record in records(json.loads(line)) if b"resourceLogs" in line else ():
                pairs = {pair["key"]: plain(pair["value"]) for pair in record["attributes"]}
                found.append((pairs[names.STATE], pairs.get(names.REASON)))
        return found


@pytest.fixture
def shipper() -> Shipper:
    """One that takes everything."""
    return Shipper()


@pytest.fixture
def reported() -> list[str]:
    """What people are told."""
    return []


@pytest.fixture
def carrier(shipper, reported) -> Carrier:
    """A carrier of that shipper."""
    return Carrier(shipper, reported.append)


@pytest.fixture
def spool(tmp_path) -> Spool:
    """An empty spool."""
    for name in ("live", "left"):
        (tmp_path / name).mkdir()
    return Spool(str(tmp_path))


def put(directory: str, name: str, *lines: bytes) -> Path:
    """A spool file with these lines."""
    path = Path(directory, name)
    path.write_bytes(b"".join(lines))
    return path


def names_in(directory: str) -> list[str]:
    """What is there."""
    return sorted(os.listdir(directory))


def test_what_a_script_left_is_carried_and_removed(spool, carrier, shipper):
    """Files in left/ go away once everything in them is acknowledged."""
    put(spool.left, f"{STEM}.logs.jsonl", state_line("running"), state_line("succeeded"))
    put(spool.left, f"{STEM}.traces.jsonl", span_line())
    assert carrier.round(spool, is_resident=False)
    assert (len(shipper.lines), carrier.carried, names_in(spool.left)) == (3, 3, [])
    assert not carrier.round(spool, is_resident=False)


def test_nothing_is_removed_before_it_is_acknowledged(spool, carrier, shipper):
    """Nobody there: everything stays, and goes when somebody is."""
    path = put(spool.left, f"{STEM}.logs.jsonl", state_line("succeeded"))
    shipper.is_away = True
    with pytest.raises(Unavailable):
        carrier.round(spool, is_resident=False)
    assert path.exists()
    shipper.is_away = False
    carrier.round(spool, is_resident=False)
    assert shipper.said() == [("succeeded", None)]
    assert not path.exists()


def test_a_backlog_stays_on_disk(spool, carrier, shipper):
    """While nobody takes it, memory holds one load at most, however often we try; then all of it is carried."""
    line = state_line("succeeded", event_id="e" * 1_000_000)
    for number in range(24):
        put(spool.left, f"{number}-00.logs.jsonl", line)
    shipper.is_away = True
    tracemalloc.start()
    for _ in range(5):
        with pytest.raises(Unavailable):
            carrier.round(spool, is_resident=True)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (kept < len(line), most < 4 * CHUNK_BYTES) == (True, True)
    shipper.is_away = False
    while carrier.round(spool, is_resident=True):
        pass
    assert (len(shipper.lines), names_in(spool.left)) == (24, [])


def test_a_living_file_is_followed(spool, carrier, shipper):
    """What is added to a live file is carried, each line once; the file stays its writer's."""
    path = put(spool.live, f"{STEM}.logs.jsonl", state_line("running"))
    carrier.round(spool, is_resident=True)
    with path.open("ab") as file:
        file.write(state_line("succeeded")[:50])
        file.flush()
        carrier.round(spool, is_resident=True)
        file.write(state_line("succeeded")[50:])
    carrier.round(spool, is_resident=True)
    assert [state for state, _ in shipper.said()] == ["running", "succeeded"]
    assert path.exists()


def test_a_file_that_moved_goes_on_where_it_was(spool, carrier, shipper):
    """Nothing is sent twice only because its writer ended."""
    path = put(spool.live, f"{STEM}.logs.jsonl", state_line("running"))
    carrier.round(spool, is_resident=True)
    with path.open("ab") as file:
        file.write(state_line("succeeded"))
    path.rename(Path(spool.left, path.name))
    carrier.round(spool, is_resident=True)
    assert [state for state, _ in shipper.said()] == ["running", "succeeded"]
    assert names_in(spool.left) == []


def test_a_run_that_was_left_open_is_ended_before_its_file_goes(spool, carrier, shipper):
    """A file in left/ of a process that is dead, without an end: it vanished, when it last wrote."""
    path = put(spool.left, f"{STEM}.logs.jsonl", state_line("running"))
    os.utime(path, ns=(5_000_000_000, 5_000_000_000))
    carrier.round(spool, is_resident=False)
    assert shipper.said() == [("running", None), ("crashed", "vanished")]
    (record,) = records(json.loads(shipper.lines[-1]))
    assert record["timeUnixNano"] == "5000000000"
    assert names_in(spool.left) == []


def test_nobody_speaks_for_a_process_that_is_watched(spool, carrier, shipper):
    """Its exit status is still to come: what it wrote is carried, and its file waits."""
    put(spool.left, f"{STEM}.logs.jsonl", state_line("running"))
    spool.watched.add(STEM)
    carrier.round(spool, is_resident=True)
    assert shipper.said() == [("running", None)]
    assert names_in(spool.left) == [f"{STEM}.logs.jsonl"]


def test_what_a_living_process_rotated_away_is_removed_but_for_open_runs(spool, carrier, shipper):
    """The part that tells of an open run is kept until the process ends: it says what has to be ended then."""
    spool.watched.add(STEM)
    put(spool.left, f"{STEM}.1.logs.jsonl", state_line("running"))
    put(spool.left, f"{STEM}.2.logs.jsonl", state_line("running"), state_line("succeeded"))
    put(spool.left, f"{STEM}.1.traces.jsonl", span_line())
    put(spool.live, f"{STEM}.logs.jsonl")
    carrier.round(spool, is_resident=True)
    assert names_in(spool.left) == [f"{STEM}.1.logs.jsonl"]
    count = len(shipper.lines)
    carrier.round(spool, is_resident=True)
    assert len(shipper.lines) == count


def test_a_damaged_line_is_set_aside_and_counted(spool, carrier, shipper, reported):
    """Lines that are no request go to bad/, under the file's name; all others are carried."""
    damaged = [b"{\xff\n", b'{"resourceSpans":[]}\n', b"[]\n", b'"x"\n', b"\0\0\0\n", b"[" * 100_000 + b"\n"]
    put(spool.left, f"{STEM}.logs.jsonl", state_line("running"), *damaged, state_line("succeeded"))
    carrier.round(spool, is_resident=False)
    assert [state for state, _ in shipper.said()] == ["running", "succeeded"]
    assert Path(spool.bad, f"{STEM}.logs.jsonl").read_bytes() == b"".join(damaged)
    assert carrier.set_aside == len(damaged)
    assert reported == [f"{len(damaged)} unusable lines of {STEM}.logs.jsonl are kept in {spool.bad}"]
    assert names_in(spool.left) == []


def test_a_line_that_the_server_refuses_is_set_aside(spool, carrier, shipper):
    """It is kept where a person can look at it, and stops nothing."""
    bad = state_line("running", reason="refuse me")
    shipper.refused = b"refuse me"
    put(spool.left, f"{STEM}.logs.jsonl", bad, state_line("succeeded"))
    carrier.round(spool, is_resident=False)
    assert Path(spool.bad, f"{STEM}.logs.jsonl").read_bytes() == bad
    assert names_in(spool.left) == []


def test_a_line_is_set_aside_once(spool, carrier, shipper):
    """Though the server was away at first."""
    put(spool.left, f"{STEM}.logs.jsonl", b"damaged\n", state_line("succeeded"))
    shipper.is_away = True
    with pytest.raises(Unavailable):
        carrier.round(spool, is_resident=False)
    shipper.is_away = False
    carrier.round(spool, is_resident=False)
    assert Path(spool.bad, f"{STEM}.logs.jsonl").read_bytes() == b"damaged\n"


def test_a_line_that_cannot_be_set_aside_keeps_its_file(spool, carrier, shipper, reported):
    """Rather than losing it."""
    Path(spool.bad).write_text("a file where a directory should be")
    path = put(spool.left, f"{STEM}.logs.jsonl", b"damaged\n", state_line("succeeded"))
    carrier.round(spool, is_resident=False)
    assert shipper.said() == [("succeeded", None)]
    assert path.exists()
    assert "cannot write in" in reported[0]


def test_a_torn_last_line_is_set_aside(spool, carrier, shipper):
    """What a killed writer could not finish is damaged; the whole lines before it are not."""
    put(spool.left, f"{STEM}.traces.jsonl", span_line(), b'{"resourceSpans":[{"res')
    carrier.round(spool, is_resident=False)
    assert shipper.lines == [span_line().rstrip()]
    assert Path(spool.bad, f"{STEM}.traces.jsonl").read_bytes() == b'{"resourceSpans":[{"res\n'
    assert names_in(spool.left) == []


def test_a_backlog_is_carried_in_loads(spool, carrier, shipper, monkeypatch):
    """More files, and more bytes, than fit into one load: all are carried, each line once."""
    monkeypatch.setattr(carrier_module, "_FILES_AT_ONCE", 7)
    monkeypatch.setattr(carrier_module, "CHUNK_BYTES", 2_000)
    for number in range(50):
        put(spool.left, f"{number + 10}-00ff00ff00ff00ff.logs.jsonl", state_line("succeeded", at_ns=number))
    carrier.round(spool, is_resident=False)
    assert len(set(shipper.lines)) == len(shipper.lines) == 50
    assert names_in(spool.left) == []


def test_a_backlog_does_not_hold_up_the_living(spool, carrier, shipper, monkeypatch):
    """A resident gives each round of old files a limited time, and goes on with the next of them in the next round."""
    monkeypatch.setattr(carrier_module, "_BACKLOG_SECONDS", 0)
    for stem in (STEM, OTHER):
        put(spool.left, f"{stem}.logs.jsonl", state_line("succeeded", reason=stem))
    put(spool.live, "1-00ff00ff00ff00ff.logs.jsonl", state_line("running"))
    carrier.round(spool, is_resident=True)
    assert shipper.said() == [("running", None), ("succeeded", STEM)]
    carrier.round(spool, is_resident=True)
    assert shipper.said()[2:] == [("succeeded", OTHER)]


def test_a_restarted_agent_sends_again_what_it_does_not_remember(spool, shipper, reported):
    """Offsets live in memory: at least once is the promise, and the collector drops duplicates."""
    put(spool.live, f"{STEM}.logs.jsonl", state_line("running"))
    for _ in range(2):
        Carrier(shipper, reported.append).round(spool, is_resident=True)
    assert len(shipper.lines) == 2


def test_a_file_that_cannot_be_read_holds_up_no_other(spool, carrier, shipper, reported):
    """A link or a pipe under a spool file's name: it is said, and the others are carried."""
    left = Path(spool.left)
    (left / "1-00.logs.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(left / "2-00.logs.jsonl")
    (left / f"{STEM}.logs.jsonl").write_bytes(state_line("succeeded"))
    carrier.round(spool, is_resident=True)
    assert [state for state, _ in shipper.said()] == ["succeeded"]
    assert sum("cannot read" in line for line in reported) == 2
    assert sorted(os.listdir(left)) == ["1-00.logs.jsonl", "2-00.logs.jsonl"]
