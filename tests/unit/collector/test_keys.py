"""Keys: what holds among them, and how other processes see that they changed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rota_collector.clock import ManualClock
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import AdminFirst, LastAdmin, StoreError
from rota_collector.store.audit import Audit, ChangeFilter
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import SCOPES, Key, Keys, includes

T0 = 1_790_000_000 * 10**9
DAY = 86_400 * 10**9


class Ring(NamedTuple):
    """Who changes keys, and who only asks for them, by the file."""

    changes: KeyChanges
    keys: Keys
    clock: ManualClock
    control: Control

    def new(self, scope: str, **asked: object) -> tuple[Key, str]:
        made = self.changes.create(scope, now_ns=self.clock.now_ns(), **asked)  # type: ignore[arg-type]
        assert made is not None
        return made


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    control, clock = Control(tmp_path / "control.sqlite"), ManualClock(T0)
    found = Ring(KeyChanges(control.engine), Keys(control.path, clock), clock, control)
    yield found
    found.keys.close()
    control.close()


def test_each_change_is_seen_at_the_next_look(ring: Ring) -> None:
    """Made, rotated, revoked: whoever asks by the file alone knows, though others write to it all the time."""
    assert ring.keys.is_open
    admin, _ = ring.new("admin")
    assert not ring.keys.is_open
    key, plain = ring.new("read")
    assert ring.keys.find(plain) == key
    rotated = ring.changes.rotate(key.id, now_ns=T0, until_ns=T0 + DAY)
    assert rotated is not None
    assert ring.keys.find(plain) == key._replace(expires_ns=T0 + DAY)
    assert ring.keys.find(rotated[1]) == rotated[0]
    for gone in (key, rotated[0], admin):
        ring.changes.revoke(gone.id, T0)
    assert ring.keys.find(plain) is None
    assert ring.keys.is_open


def test_who_is_told_of_changes_need_not_ask_the_file(ring: Ring) -> None:
    """A request costs no query, and a change is known as soon as it is made, before whoever made it is answered."""
    told: list[int] = []
    changes = KeyChanges(ring.control.engine, told.append)
    keys = Keys(ring.control.path, ring.clock, lambda: told[-1])
    assert keys.is_open
    assert len(told) == 1
    made = changes.create("admin", now_ns=T0)
    assert made is not None
    assert told == sorted(set(told))
    assert len(told) == 2
    assert keys.find(made[1]) == made[0]
    with sqlite3.connect(ring.control.path) as file:
        file.execute("DELETE FROM keys")
    assert keys.find(made[1]) == made[0], "the file was asked, although nobody said that anything changed"
    changes.revoke(made[0].id, T0)
    with pytest.raises(AdminFirst):
        changes.create("read", now_ns=T0)
    assert max(told) == 2, "a change that was not made was told"
    file.close()
    keys.close()


def test_a_file_that_is_not_there_yet_holds_no_key(tmp_path: Path) -> None:
    """Nor does one without tables; both are looked at again."""
    keys = Keys(tmp_path / "control.sqlite", ManualClock(T0))
    assert keys.is_open
    sqlite3.connect(tmp_path / "control.sqlite").execute("CREATE TABLE other (x)").connection.close()
    assert keys.is_open
    control = Control(tmp_path / "control.sqlite")
    KeyChanges(control.engine).create("admin", now_ns=T0)
    assert not keys.is_open
    keys.close()
    control.close()


def test_a_file_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    """Not known is not open."""
    (tmp_path / "control.sqlite").write_bytes(b"this is no database" * 100)
    keys = Keys(tmp_path / "control.sqlite", ManualClock(T0))
    with pytest.raises(StoreError, match="Nobody is let in"):
        _ = keys.is_open
    with pytest.raises(StoreError, match="Nobody is let in"):
        keys.find("rr_x")


def test_a_file_of_an_earlier_version_is_closed_until_it_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its keys go on, and while its table lacks a column, nobody is let in for want of it."""
    path = tmp_path / "control.sqlite"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE keys (id TEXT PRIMARY KEY, hash TEXT, scope TEXT, name TEXT, workflow TEXT, pattern TEXT,"
                     " created_ns BIGINT, revoked_ns BIGINT)")  # fmt: skip
        file.execute("INSERT INTO keys VALUES ('i', 'h', 'admin', '', NULL, 'etl.*', 1, NULL)")
    file.close()
    keys = Keys(path, ManualClock(T0))
    with pytest.raises(StoreError):
        _ = keys.is_open
    control = Control(path)
    (old,) = KeyChanges(control.engine).all()
    assert (old.reach, old.expires_ns, keys.is_open) == (Reach(("etl.*",)), None, False)
    keys.close()
    control.close()


def test_to_ask_for_keys_needs_nothing_heavy() -> None:
    """A process that only receives does not pay for databases and columns."""
    code = "import sys, rota_collector.store.keys; print(sorted({'duckdb', 'pyarrow', 'sqlalchemy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_scopes_include_what_they_should() -> None:
    """operate includes ingest and read, admin all of them, and nothing includes ping."""
    table = {scope: [each for each in SCOPES if includes(scope, each)] for scope in SCOPES}
    assert table == {
        "ping": ["ping"],
        "ingest": ["ingest"],
        "read": ["read"],
        "operate": ["ingest", "read", "operate"],
        "admin": ["ingest", "read", "operate", "admin"],
    }


@pytest.mark.parametrize("limit", [{"pattern": "a.*"}, {"workflow": "a"}, {"expires_ns": T0 + DAY}])
def test_an_admin_with_limits_does_not_count(ring: Ring, limit: dict[str, object]) -> None:
    """The first key is one that can make others for ever, and such a one stays as long as there are others."""
    with pytest.raises(AdminFirst, match="no end and no limits"):
        ring.new("admin", **limit)
    lasting, _ = ring.new("admin")
    ring.new("admin", **limit)
    with pytest.raises(LastAdmin):
        ring.changes.revoke(lasting.id, T0)


def test_what_has_expired_keeps_nobody(ring: Ring) -> None:
    """The last admin can go when all others have expired; those go with it, and the API is open again."""
    admin, _ = ring.new("admin")
    ring.new("read", expires_ns=T0 + DAY)
    ring.clock.advance(86_400)
    assert ring.changes.revoke(admin.id, ring.clock.now_ns())
    assert ring.keys.is_open
    assert all(key.revoked_ns for key in ring.changes.all())


def test_a_key_that_expires_opens_nothing(ring: Ring) -> None:
    """However it came that no valid key is left."""
    ring.new("admin")
    ring.new("read", expires_ns=T0 + DAY)
    with sqlite3.connect(ring.control.path) as file:
        file.execute("UPDATE keys SET expires_ns = 1")
        file.execute("UPDATE key_changes SET number = number + 1")
    file.close()
    assert not ring.keys.is_open


def test_a_successor_is_for_the_same(ring: Ring) -> None:
    """Scope, name, workflows, and as long a time as the old one had; the old one never lives longer than it would have."""
    ring.new("admin")
    old, plain = ring.new("operate", name="night", pattern="a.*\nb.*", expires_ns=T0 + 10 * DAY)
    ring.clock.advance(9.5 * 86_400)
    now_ns = ring.clock.now_ns()
    rotated = ring.changes.rotate(old.id, now_ns=now_ns, until_ns=now_ns + DAY)
    assert rotated is not None
    new = rotated[0]
    assert new._replace(id="", hash="") == old._replace(id="", hash="", created_ns=now_ns, expires_ns=now_ns + 10 * DAY)
    ended = ring.keys.find(plain)
    assert ended is not None
    assert ended.expires_ns == T0 + 10 * DAY


def test_the_only_admin_can_be_rotated(ring: Ring) -> None:
    """Nobody is locked out by it."""
    admin, _ = ring.new("admin")
    ring.new("read")
    rotated = ring.changes.rotate(admin.id, now_ns=T0, until_ns=T0)
    assert rotated is not None
    assert (rotated[0].expires_ns, rotated[0].reach) == (None, EVERYTHING)
    ring.new("ingest")
    assert ring.changes.rotate(admin.id, now_ns=T0, until_ns=T0) is None


def test_changes_are_written_down_with_them(ring: Ring) -> None:
    """What is refused is not; no hash and no key is in the record."""
    admin, plain = ring.new("admin", name="ada", by="grace")
    key, _ = ring.new("read", pattern="a.*")
    with pytest.raises(LastAdmin):
        ring.changes.revoke(admin.id, T0)
    ring.changes.revoke(key.id, T0 + 1, by="ada")
    found = Audit(ring.control.engine).page(ChangeFilter()).items
    assert [(each.action, each.subject, each.by, each.at_ns - T0) for each in found] == [
        ("key.revoke", key.id, "ada", 1), ("key.create", key.id, "api", 0), ("key.create", admin.id, "grace", 0),
    ]  # fmt: skip
    assert found[1].after == {"scope": "read", "patterns": ["a.*"]}
    assert plain not in str(found)
    assert admin.hash not in str(found)


@pytest.mark.parametrize("change", ["UPDATE audit SET by = 'x'", "DELETE FROM audit"])
def test_the_record_only_grows(ring: Ring, change: str) -> None:
    """The database itself refuses to change or delete a row."""
    ring.new("admin")
    with sqlite3.connect(ring.control.path) as file, pytest.raises(sqlite3.IntegrityError, match="audit only grows"):
        file.execute(change)
    file.close()
