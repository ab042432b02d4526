"""A control store that was damaged is noticed before it is used: it is left as it is, and what to do next is said."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_keys import T0, make_keys

from rota_collector.clock import ManualClock
from rota_collector.errors import StoreError
from rota_collector.store import copies, soundness
from rota_collector.store.control import Control
from rota_collector.store.keys import Keys
from rota_collector.store.soundness import Unread, unread_of


def stopped_store(path, many: int = 12) -> list[str]:
    """Keys in a control store at ``path``, which is closed again."""
    control = Control(path)
    made = make_keys(control, many)
    control.close()
    return made


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> tuple[bytes, list[int]]:
    """A write-ahead log of 60 transactions, and how long it was after each."""
    path, ends = tmp_path_factory.mktemp("log") / "a", []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        for n in range(59):
            ends.append((path.with_name("a-wal")).stat().st_size)
            connection.execute("INSERT INTO t VALUES (?)", (random.Random(n).randbytes(300 + 200 * n),))
        whole = path.with_name("a-wal").read_bytes()
    return whole, [*ends, len(whole)]


def test_a_log_that_is_whole_is_read_whole(log):
    """However many transactions are in it."""
    assert unread_of(log[0]) == Unread(0, len(log[0]))
    assert unread_of(b"") == unread_of(log[0][:40]) == Unread(0, 0)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_a_kill_cut_off_is_no_damage(log, data):
    """The end of a log may be missing: what is there is whole transactions, and a part of one that nobody was told of."""
    cut = data.draw(st.integers(0, len(log[0])))
    assert unread_of(log[0][:cut]).transactions == 0


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_before_the_end_is_noticed(log, data):
    """The transactions from there on are counted, whatever part of the log it is in; before it all can be read."""
    whole, ends = log
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    unread = unread_of(bytes(damaged))
    lost = sum(end > at for end in ends)
    # In the number that says whether a frame ends a transaction, the bit itself may make one more or one less.
    assert abs(unread.transactions - lost) <= 1
    assert unread.begin <= at or at < 32


def test_a_damaged_log_stops_the_start_and_is_left_as_it_is(tmp_path):
    """SQLite would go on without the keys that were made after it; here the second start says the same as the first."""
    path, log = tmp_path / "control.sqlite", tmp_path / "control.sqlite-wal"
    control = Control(path)
    made = make_keys(control, 40)  # so many that the middle of the log lies among them, behind the tables
    kept = [path.read_bytes(), log.read_bytes()]
    control.close()
    path.write_bytes(kept[0])
    damaged = bytearray(kept[1])
    damaged[len(damaged) // 2] ^= 4
    log.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"wal is damaged: \d+ transactions .* restore DIR.* truncate -s \d+ ") as refused:
            Control(path)
    assert log.read_bytes() == damaged
    told = re.search(r"truncate -s (\d+)", str(refused.value))
    assert told is not None
    os.truncate(log, int(told[1]))
    Control(path).close()
    keys = Keys(path, ManualClock(T0))
    found = [keys.find(key) is not None for key in made]
    keys.close()
    assert 0 < sum(found) < len(made)
    assert found == sorted(found, reverse=True)  # the first ones are there


def test_a_page_of_zeros_stops_the_start(tmp_path):
    """Any page: what it would have said is not missed only when somebody comes by it."""
    path = tmp_path / "control.sqlite"
    stopped_store(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 4096):
        path.write_bytes(whole[:at] + bytes(4096) + whole[at + 4096 :])
        with pytest.raises(StoreError, match=r"control.sqlite is damaged: .*restore DIR.*move it away"):
            Control(path)


def test_of_a_large_store_what_the_journal_does_not_tell_is_looked_at(tmp_path, monkeypatch):
    """A million runs need not be read at each start, and come again anyhow; keys, policies and incidents do not."""
    monkeypatch.setattr(soundness, "_AT_ONCE_BYTES", 0)
    path = tmp_path / "control.sqlite"
    stopped_store(path)
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))

    def opens_without(table: str) -> bool:
        at = (roots[table] - 1) * 4096
        path.write_bytes(whole[:at] + bytes(4096) + whole[at + 4096 :])
        try:
            Control(path).close()
        except StoreError:
            return False
        return True

    assert {"keys", "incidents"} < set(roots)
    assert not list(filter(opens_without, roots.keys() - {"runs", "run_tags", "workflow_days"}))


def test_a_key_that_changed_on_the_disk_stops_the_start(tmp_path):
    """One bit of its hash: it would be unknown, and nobody would know why."""
    path = tmp_path / "control.sqlite"
    stopped_store(path)
    with closing(sqlite3.connect(path)) as connection:
        (hashed,) = connection.execute("SELECT hash FROM keys LIMIT 1").fetchone()
    whole = path.read_bytes()
    at = whole.index(hashed.encode())
    path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
    with pytest.raises(StoreError, match=r"control.sqlite is damaged: .*(keys|index)"):
        Control(path)


def test_a_store_that_was_moved_away_begins_with_the_last_copy(tmp_path):
    """The journal before the copy may be gone: the runs until then, and the keys, are in the copy."""
    home = tmp_path / "home"
    (copy := home / "copies" / f"{0:020}").mkdir(parents=True)
    made = stopped_store(copy / "control.sqlite", 1)
    (copy / "copy.json").write_text('{"telemetry_offset": 0, "control_offset": 0}')
    (home / "control.sqlite-wal").write_bytes(b"of a file that is no more, and must not be read into this one")
    assert copies.begin_control(home) == copy / "control.sqlite"
    assert copies.begin_control(home) is None
    keys = Keys(home / "control.sqlite", ManualClock(T0))
    assert keys.find(made[0]) is not None
    keys.close()
