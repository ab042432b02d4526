"""Keys made, rotated and revoked.

One rule holds among them, and is checked in the transaction that could break it: where there is a key that is asked for, there
is an admin's that lasts: for all workflows, and without an end. Else nobody could make or revoke a key any more.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    insert,
    select,
    update,
)

from rota_collector.errors import AdminFirst, LastAdmin
from rota_collector.store import audit
from rota_collector.store.dialect import add_missing_columns
from rota_collector.store.keys import ADMIN, GUARDED, INGEST, OPERATE, PING, READ, Key, hash_of

metadata = MetaData()
keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("workflow", Text),  # the only one that it is for
    Column("pattern", Text),  # shell patterns of those that it is for, one a line
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Index("keys_hash", "hash"),
)
# One row, whose number grows with every change of a key: other processes see by it that they have to read the keys anew.
key_changes = Table("key_changes", metadata, Column("number", Integer, nullable=False))

_PREFIXES = {PING: "rp_", INGEST: "ri_", READ: "rr_", OPERATE: "ro_", ADMIN: "ra_"}
_RANDOM_BYTES = 18
_MOST_NAMED = 5  # keys that an error names

_columns = [keys.c[name] for name in Key._fields]
_all = select(*_columns).order_by(keys.c.created_ns, keys.c.id)
_unrevoked = select(*_columns).where(keys.c.revoked_ns.is_(None))
_guarded = _unrevoked.where(keys.c.scope.in_(GUARDED)).order_by(keys.c.created_ns, keys.c.id)
_one = _unrevoked.where(keys.c.id == bindparam("identity"))
_same = select(keys.c.id).where(keys.c.hash == bindparam("found"), keys.c.revoked_ns.is_(None))
_revoke = update(keys).where(keys.c.id.in_(bindparam("ids", expanding=True))).values(revoked_ns=bindparam("at"))
_end = update(keys).where(keys.c.id == bindparam("identity")).values(expires_ns=bindparam("at"))
_count = update(key_changes).values(number=key_changes.c.number + 1)


class KeyChanges:
    """Changes the keys in the control database ``engine``. Any thread.

    ``tell`` hears the number of the last change: now, and before anybody is answered that one more was made.
    """

    def __init__(self, engine: Engine, tell: Callable[[int], None] = lambda _: None) -> None:
        self._engine, self._tell, self._turn = engine, tell, threading.Lock()
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)
            add_missing_columns(connection, keys)
            audit.prepare(connection)
            if connection.execute(select(key_changes)).first() is None:
                connection.execute(insert(key_changes), {"number": 1})
        with self._changing():
            pass

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction, whose number is told in the order of the numbers."""
        with self._turn:
            with self._writer.begin() as connection:
                yield connection
                number = connection.execute(select(key_changes.c.number)).scalar_one()
            self._tell(number)

    def all(self) -> list[Key]:
        """All of them, the oldest first, revoked ones too."""
        with self._engine.begin() as connection:
            return [Key._make(row) for row in connection.execute(_all)]

    def create(
        self, scope: str, *, now_ns: int, name: str = "", workflow: str | None = None, pattern: str | None = None,
        expires_ns: int | None = None, value: str | None = None, by: str = "",
    ) -> tuple[Key, str] | None:  # fmt: skip
        """A new key, and its plain text, which is kept nowhere. None: ``value``, brought from elsewhere, is a key already.

        ``pattern``: one or several, one a line. Raises AdminFirst.
        """
        plain = value or _random(scope)
        key = Key(str(uuid.uuid4()), hash_of(plain), scope, name, workflow, pattern, now_ns, expires_ns, None)
        with self._changing() as connection:
            _refuse_before_admin(connection, key, now_ns)
            if connection.execute(_same, {"found": key.hash}).first() is not None:
                return None
            _add(connection, key)
            audit.add(connection, now_ns, by, "key.create", key.id, after=told(key))
        return key, plain

    def rotate(self, identity: str, *, now_ns: int, until_ns: int, by: str = "") -> tuple[Key, str] | None:
        """A successor of a key, for the same, and its plain text; the old one is valid until ``until_ns``. What has an end
        gets as much time anew. None: there is no valid key of this id.
        """
        with self._changing() as connection:
            old = _valid(connection, identity, now_ns)
            if old is None:
                return None
            plain = _random(old.scope)
            lasts_ns = None if old.expires_ns is None else old.expires_ns - old.created_ns
            new = old._replace(
                id=str(uuid.uuid4()), hash=hash_of(plain), created_ns=now_ns,
                expires_ns=None if lasts_ns is None else now_ns + lasts_ns,
            )  # fmt: skip
            _add(connection, new)
            ends_ns = min(until_ns, old.expires_ns or until_ns)
            connection.execute(_end, {"identity": old.id, "at": ends_ns})
            audit.add(
                connection, now_ns, by, "key.rotate", old.id, before=told(old), after=told(old._replace(expires_ns=ends_ns))
            )
            audit.add(connection, now_ns, by, "key.create", new.id, after={**told(new), "successor_of": old.id})
        return new, plain

    def revoke(self, identity: str, now_ns: int, by: str = "") -> bool:
        """Take a key away for good. False: there is none of this id, or it was revoked before. Raises LastAdmin."""
        with self._changing() as connection:
            row = connection.execute(_one, {"identity": identity}).first()
            if row is None:
                return False
            key, others = Key._make(row), [each for each in _of_api(connection) if each.id != identity]
            _refuse_last_admin(key, [each for each in others if not each.is_over(now_ns)])
            gone = [key]
            if key.scope in GUARDED and all(each.is_over(now_ns) for each in others):
                gone += others  # it was the last; what expired before must not keep the door closed with nobody inside
            connection.execute(_revoke, {"ids": [each.id for each in gone], "at": now_ns})
            connection.execute(_count)
            for each in gone:
                audit.add(connection, now_ns, by, "key.revoke", each.id, before=told(each))
        return True


def told(key: Key) -> dict[str, Any]:
    """What the record of changes says of a key."""
    pairs = {
        "scope": key.scope,
        "name": key.name,
        "workflow": key.workflow,
        "patterns": key.patterns,
        "expires_ns": key.expires_ns,
    }
    return {name: value for name, value in pairs.items() if value}


def _random(scope: str) -> str:
    return _PREFIXES[scope] + secrets.token_urlsafe(_RANDOM_BYTES)


def _add(connection: Connection, key: Key) -> None:
    connection.execute(insert(keys), key._asdict())
    connection.execute(_count)


def _valid(connection: Connection, identity: str, now_ns: int) -> Key | None:
    row = connection.execute(_one, {"identity": identity}).first()
    key = None if row is None else Key._make(row)
    return None if key is None or key.is_over(now_ns) else key


def _of_api(connection: Connection) -> list[Key]:
    return [Key._make(row) for row in connection.execute(_guarded)]


def _lasts(key: Key) -> bool:
    return key.scope == ADMIN and key.expires_ns is None and key.reach.is_everything


def _refuse_before_admin(connection: Connection, key: Key, now_ns: int) -> None:
    if key.scope not in GUARDED or _lasts(key):
        return
    if not any(_lasts(each) for each in _of_api(connection) if not each.is_over(now_ns)):
        limited = "that has no end and no limits " if key.scope == ADMIN else ""
        raise AdminFirst(f"make an admin key {limited}first: with any other, nobody could make or revoke keys")


def _refuse_last_admin(key: Key, others: list[Key]) -> None:
    if not others or not _lasts(key) or any(_lasts(each) for each in others):
        return
    named = ", ".join(map(_named, others[:_MOST_NAMED]))
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    raise LastAdmin(f"without {_named(key)}, the last admin key, nobody could revoke {named}{more}")


def _named(key: Key) -> str:
    return f"{key.short} ({key.name})" if key.name else key.short
