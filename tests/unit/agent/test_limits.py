"""A spool that nobody takes stays within its bounds, and what went is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_receiver import RUN_ID, records, state_line
from scripts import plain

from rota.agent import limits
from rota.agent.limits import Kept, surplus
from rota.agent.progress import Progress
from rota.agent.spool import Spool
from rota.wire import events, names

DAY = 86400.0
NOW = 100 * DAY
FILES = st.lists(
    st.builds(
        Kept,
        kind=st.sampled_from(("bad", "traces", "logs")),
        name=st.uuids().map(str),
        written_at=st.floats(0, NOW),
        size=st.integers(1, 1000),
    ),
    unique_by=lambda file: file.name,
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    for name in ("live", "left", "bad"):
        (tmp_path / name).mkdir()
    return Spool(str(tmp_path))


def spans_line(count: int, run_id: str = RUN_ID, workflow: str = "etl") -> bytes:
    """A spool line with so many spans of a run, as the SDK writes it."""
    span = events.span(run_id.replace("-", ""), "0" * 15 + "2", "", '"load"', 1, 1_000, 2_000, "")
    scope = events.scope("1", {names.RUN_ID: run_id, names.WORKFLOW: workflow})
    return events.spans_line(events.resource({}), {scope: [span] * count}).encode("ascii")


def put(directory: str, name: str, *lines: bytes, age_days: float = 1) -> Path:
    """A file that was last written so long ago."""
    path = Path(directory, name)
    path.write_bytes(b"".join(lines))
    os.utime(path, (time.time() - age_days * DAY,) * 2)
    return path


def told(spool: Spool) -> list[dict[str, Any]]:
    """What the spool says of losses: attributes and text of each record."""
    found = []
    for name in sorted(os.listdir(spool.left)):
        for line in Path(spool.left, name).read_bytes().splitlines():
            for record in records(json.loads(line)) if b"rota.dropped" in line else ():
                pairs = {pair["key"]: plain(pair["value"]) for pair in record["attributes"]}
                found.append({**pairs, "text": record["body"]["stringValue"], "severity": record["severityNumber"]})
    return found


@given(files=FILES, most_bytes=st.integers(0, 5000), most_days=st.floats(0.1, 100))
def test_what_stays_is_within_the_bounds(files: list[Kept], most_bytes: int, most_days: float) -> None:
    """Neither too much nor too old; and not one file more goes than has to."""
    gone = surplus(files, NOW, most_bytes, most_days * DAY)
    stays = [file for file in files if file not in gone]
    assert sum(file.size for file in stays) <= most_bytes
    assert all(NOW - file.written_at <= most_days * DAY for file in stays)
    if gone and NOW - gone[-1].written_at <= most_days * DAY:
        assert sum(file.size for file in stays) + gone[-1].size > most_bytes


@given(files=FILES, most_bytes=st.integers(0, 5000))
def test_states_go_last(files: list[Kept], most_bytes: int) -> None:
    """Refused lines go first, then spans, then run states; of each kind the oldest first."""
    rank = {"bad": 0, "traces": 1, "logs": 2}
    gone = surplus(files, NOW, most_bytes, 1000 * DAY)
    assert [(rank[f.kind], f.written_at) for f in gone] == sorted((rank[f.kind], f.written_at) for f in gone)
    for kept in set(files) - set(gone):
        assert all((rank[f.kind], f.written_at) <= (rank[kept.kind], kept.written_at) for f in gone)


def test_spans_that_went_are_told_of_their_run(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning in the log of each run says how many; the states stay."""
    monkeypatch.setenv("ROTA_SPOOL_MB", str(8 / 1024))
    put(spool.left, "1-aa.traces.jsonl", spans_line(64), spans_line(6), age_days=2)
    put(spool.left, "1-aa.logs.jsonl", state_line("succeeded"), age_days=3)
    put(spool.left, "2-bb.traces.jsonl", spans_line(1, RUN_ID[:-1] + "2"), age_days=0.5)
    said: list[str] = []
    limits.trim(spool, Progress(), said.append)
    assert not Path(spool.left, "1-aa.traces.jsonl").exists()
    assert [(each[names.RUN_ID], each[names.DROPPED_SPANS], each["severity"]) for each in told(spool)] == [(RUN_ID, 70, 13)]
    assert told(spool)[0]["text"] == "70 spans of this run were dropped: the spool was full, or they were too old"
    assert "70 records dropped" in said[0]
    assert Path(spool.left, "1-aa.logs.jsonl").exists()


def test_states_that_went_are_counted_by_workflow(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line about each would take as much room as they did."""
    monkeypatch.setenv("ROTA_SPOOL_DAYS", "7")
    for number in range(20):
        put(spool.left, f"{number + 10}-aa.logs.jsonl", state_line("running"), state_line("succeeded"), age_days=8)
    put(spool.left, "9-aa.logs.jsonl", state_line("running"), age_days=6)
    limits.trim(spool, Progress(), lambda _: None)
    assert [(each[names.WORKFLOW], each.get(names.RUN_ID), each[names.DROPPED_EVENTS]) for each in told(spool)] == [
        ("etl", None, 40)
    ]
    assert Path(spool.left, "9-aa.logs.jsonl").exists()


def test_what_was_acknowledged_is_no_loss(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies behind the offset that was shipped is counted."""
    monkeypatch.setenv("ROTA_SPOOL_DAYS", "1")
    path = put(spool.left, "1-aa.traces.jsonl", spans_line(10), spans_line(5), age_days=2)
    progress = Progress()
    progress.advance(path.name, path.stat().st_ino, len(spans_line(10)))
    limits.trim(spool, progress, lambda _: None)
    assert [each[names.DROPPED_SPANS] for each in told(spool)] == [5]


def test_within_its_bounds_nothing_is_touched(spool: Spool) -> None:
    """And nothing is said."""
    put(spool.left, "1-aa.traces.jsonl", spans_line(10))
    said: list[str] = []
    limits.trim(spool, Progress(), said.append)
    assert (os.listdir(spool.left), said) == (["1-aa.traces.jsonl"], [])


@pytest.mark.parametrize("value", ["a lot", "-1", "0", "nan", "inf", ""])
def test_a_limit_that_is_none_deletes_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A typing error in a setting means the default."""
    monkeypatch.setenv("ROTA_SPOOL_MB", value)
    monkeypatch.setenv("ROTA_SPOOL_DAYS", value)
    put(spool.left, "1-aa.traces.jsonl", spans_line(10))
    limits.trim(spool, Progress(), lambda _: None)
    assert os.listdir(spool.left) == ["1-aa.traces.jsonl"]


def test_refused_lines_are_bounded_too(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a collector refuses: the newest stay."""
    monkeypatch.setattr(limits, "BAD_BYTES", 10_000)
    for number in range(5):
        put(spool.bad, f"{number}-aa.logs.jsonl", b"x" * 4000, age_days=5 - number)
    limits.trim_bad(spool)
    assert sorted(os.listdir(spool.bad)) == ["3-aa.logs.jsonl", "4-aa.logs.jsonl"]
