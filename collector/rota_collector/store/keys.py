"""Keys: kept as hashes, known in memory, so that asking for one costs no query.

One rule holds among them, and is checked in the transaction that could break it: where there is a key that reads or operates,
there is one that administers. Else nobody could make or revoke a key any more.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import uuid
from fnmatch import fnmatchcase
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Engine, Index, MetaData, Table, Text, bindparam, insert, select, update

from rota_collector.errors import AdminFirst, LastAdmin

metadata = MetaData()
keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),  # SHA-256 in hex; a random key of 128 bits and more needs no slow hash
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("workflow", Text),  # the only one that it is for
    Column("pattern", Text),  # a shell pattern of those that it is for
    Column("created_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
    Index("keys_hash", "hash"),
)

PING = "ping"
READ, OPERATE, ADMIN = API_SCOPES = ("read", "operate", "admin")  # each includes the ones before it
SCOPES = (PING, *API_SCOPES)
_PREFIXES = {PING: "rp_", READ: "rr_", OPERATE: "ro_", ADMIN: "ra_"}
_RANDOM_BYTES = 18
_SHORT_ID = 8
_MOST_NAMED = 5  # keys that an error names

_all = select(keys).order_by(keys.c.created_ns, keys.c.id)
_valid = select(keys).where(keys.c.revoked_ns.is_(None))
_valid_of_api = _valid.where(keys.c.scope.in_(API_SCOPES)).order_by(keys.c.created_ns, keys.c.id)
_same = select(keys.c.id).where(keys.c.hash == bindparam("found"), keys.c.revoked_ns.is_(None))
_revoke = (
    update(keys).where(keys.c.id == bindparam("identity"), keys.c.revoked_ns.is_(None)).values(revoked_ns=bindparam("at"))
)  # fmt: skip


class Key(NamedTuple):
    """A key, without the key itself. ``workflow``: it is bound to this one; ``pattern`` limits one that is not. Unix ns."""

    id: str
    hash: str
    scope: str
    name: str
    workflow: str | None
    pattern: str | None
    created_ns: int
    revoked_ns: int | None

    @property
    def short(self) -> str:
        """What to call a key that has no name."""
        return f"{self.scope} {self.id[:_SHORT_ID]}"

    def allows(self, workflow: str) -> bool:
        """Whether it is for this workflow."""
        if self.workflow is not None:
            return workflow == self.workflow
        return self.pattern is None or fnmatchcase(workflow, self.pattern)


class Keys:
    """The keys in the control database ``engine``, which other processes change too. Any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._changing = threading.Lock()
        with self._writer.begin() as connection:
            metadata.create_all(connection)
        self._watching, self._seen = engine.raw_connection(), 0
        self._looking = threading.Lock()
        self._refresh()

    @property
    def is_open(self) -> bool:
        """Whether there is no valid key of the API's scopes, so that nobody can be asked for one."""
        self._refresh()
        return self._is_open

    def _refresh(self) -> None:
        """Read the keys anew when somebody, in this process or another, has written to the database since."""
        with self._looking:
            (version,) = self._watching.execute("PRAGMA data_version").fetchone()  # microseconds: it reads shared memory
            if version != self._seen:
                self._seen = version
                self._reload()

    def find(self, plain: str) -> Key | None:
        """The key that is spelled so, unless it was revoked.

        It is looked up by its hash: how long that takes says nothing of the key, which nobody can guess bit by bit then.
        """
        self._refresh()
        return self._by_hash.get(_hash(plain))

    def ping_key(self, plain: str) -> Key | None:
        """The same, if it may ping."""
        key = self.find(plain)
        return key if key is not None and key.scope == PING else None

    def all(self) -> list[Key]:
        """All of them, the oldest first, revoked ones too."""
        with self._engine.begin() as connection:
            return [Key._make(row) for row in connection.execute(_all)]

    def create(
        self, scope: str, *, name: str, workflow: str | None, pattern: str | None, now_ns: int, value: str | None = None
    ) -> tuple[Key, str] | None:
        """A new key, and its plain text, which is kept nowhere. None: ``value``, brought from elsewhere, is a key already.

        Raises AdminFirst.
        """
        plain = value or _PREFIXES[scope] + secrets.token_urlsafe(_RANDOM_BYTES)
        key = Key(str(uuid.uuid4()), _hash(plain), scope, name, workflow, pattern, now_ns, None)
        with self._changing, self._writer.begin() as connection:
            _refuse_before_admin(connection, scope)
            if connection.execute(_same, {"found": key.hash}).first() is not None:
                return None
            connection.execute(insert(keys), key._asdict())
        return key, plain

    def revoke(self, identity: str, now_ns: int) -> bool:
        """Take a key away for good. False: there is none of this id, or it was revoked before. Raises LastAdmin."""
        with self._changing, self._writer.begin() as connection:
            _refuse_last_admin(connection, identity)
            return connection.execute(_revoke, {"identity": identity, "at": now_ns}).rowcount > 0

    def _reload(self) -> None:
        with self._engine.begin() as connection:
            self._by_hash = {row.hash: Key._make(row) for row in connection.execute(_valid)}
        self._is_open = not any(key.scope in API_SCOPES for key in self._by_hash.values())


def _refuse_before_admin(connection: Connection, scope: str) -> None:
    if scope in (READ, OPERATE) and not any(row.scope == ADMIN for row in connection.execute(_valid_of_api)):
        raise AdminFirst("make an admin key first: with any other, nobody could make or revoke keys")


def _refuse_last_admin(connection: Connection, identity: str) -> None:
    valid = [Key._make(row) for row in connection.execute(_valid_of_api)]
    admins, others = [key for key in valid if key.scope == ADMIN], [key for key in valid if key.scope != ADMIN]
    if others and [key.id for key in admins] == [identity]:
        named = ", ".join(map(_named, others[:_MOST_NAMED]))
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        raise LastAdmin(f"without {_named(admins[0])}, the last admin key, nobody could revoke {named}{more}")


def _named(key: Key) -> str:
    return f"{key.short} ({key.name})" if key.name else key.short


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
