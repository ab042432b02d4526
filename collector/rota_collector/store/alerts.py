"""Channels, and the outbox: every message that somebody must get, until it is known that it went out.

A message enters in the transaction of the transition that it tells of. It leaves by being marked, after it was sent: what
dies in between sends it again, under the same id.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from rota_collector.domain.message import Message
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import ChannelExists
from rota_collector.store import audit
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.dialect import do_nothing, json_number, json_values
from rota_collector.store.expectations_schema import incidents
from rota_collector.store.within import is_within

WEBHOOK, APPRISE = "webhook", "apprise"
PATIENT_ATTEMPTS = 6  # so often a message may fail and still hold back the later ones of its channel
KEPT_NS = 30 * 86_400 * 10**9  # how long what was sent, or never will be, can be looked up
_SECRET_BYTES = 32

_metadata = MetaData()

channels = Table(
    "channels",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("shown", Text, nullable=False),  # the address without what is secret in it
    Column("created_ns", BigInteger, nullable=False),
)
outbox = Table(
    "outbox",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # in the order in which they came
    Column("id", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("incident_ids", Text, nullable=False),  # JSON
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("created_ns", BigInteger, nullable=False),
    Column("next_ns", BigInteger, nullable=False),  # not to be tried before
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent_ns", BigInteger),
    Column("dead_ns", BigInteger),
    Column("error", Text),  # of the last attempt
)
_is_waiting = outbox.c.sent_ns.is_(None) & outbox.c.dead_ns.is_(None)
Index("outbox_waiting", outbox.c.channel, outbox.c.number, sqlite_where=_is_waiting, postgresql_where=_is_waiting)
_columns = [column for column in outbox.c if column.name != "number"]

_names = select(channels.c.name).order_by(channels.c.name)
_all_channels = select(channels).order_by(channels.c.name)
_channel = select(channels).where(channels.c.name == bindparam("name"))
_enqueue = do_nothing(outbox)
_mine = (_is_waiting, outbox.c.channel == bindparam("of"))
# The oldest goes first and holds back the others, so that nobody reads "over" before "missed"; one that failed often does not.
_patient = select(*_columns).where(*_mine, outbox.c.attempts < PATIENT_ATTEMPTS).order_by(outbox.c.number).limit(1)
_impatient = select(*_columns).where(*_mine).order_by(outbox.c.next_ns, outbox.c.number).limit(1)
_sent = (
    update(outbox)
    .where(outbox.c.id == bindparam("identity"))
    .values(sent_ns=bindparam("at"), attempts=outbox.c.attempts + 1, error=None)
)
_failed = (
    update(outbox)
    .where(outbox.c.id == bindparam("identity"))
    .values(next_ns=bindparam("next"), dead_ns=bindparam("dead"), attempts=outbox.c.attempts + 1, error=bindparam("why"))
)
_give_up = (
    update(outbox)
    .where(_is_waiting, outbox.c.channel == bindparam("of"))
    .values(dead_ns=bindparam("at"), error="the channel was removed")
)
_prune = delete(outbox).where(
    outbox.c.created_ns < bindparam("before"), outbox.c.sent_ns.is_not(None) | outbox.c.dead_ns.is_not(None)
)


class Channel(NamedTuple):
    """Where messages go. ``secret`` signs those of a webhook."""

    name: str
    url: str
    secret: str
    kind: str  # webhook, apprise
    shown: str  # the address without what is secret in it
    created_ns: int


class Outgoing(NamedTuple):
    """A message in the outbox. Times are Unix ns."""

    id: str
    channel: str
    incident_ids: list[str]
    title: str
    text: str
    payload: dict[str, Any]
    created_ns: int
    next_ns: int
    attempts: int
    sent_ns: int | None
    dead_ns: int | None
    error: str | None


class Alerts:
    """Channels and outbox in the control database ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            _metadata.create_all(connection)
            audit.prepare(connection)

    # -- in the transaction of whoever has something to say -----------------------------------------------------------

    def channel_names(self, connection: Connection) -> list[str]:
        """The names of all channels, in order."""
        return list(connection.execute(_names).scalars())

    def enqueue(self, connection: Connection, messages: Sequence[Message], now_ns: int) -> None:
        """Have these sent, once the caller's transaction is through. One that is there already stays as it is."""
        if messages:
            connection.execute(_enqueue, [_row(message, now_ns) for message in messages])

    # -- for the sender -----------------------------------------------------------------------------------------------

    def heads(self) -> dict[str, Outgoing]:
        """What each channel gets next, those with nothing left out; it is due at its ``next_ns``."""
        with self._engine.begin() as connection:
            found = {name: _head(connection, name) for name in self.channel_names(connection)}
        return {name: head for name, head in found.items() if head is not None}

    def next_due_ns(self) -> int | None:
        """When something may be tried next; None: nothing waits."""
        return min((head.next_ns for head in self.heads().values()), default=None)

    def mark_sent(self, identity: str, now_ns: int) -> None:
        """It went out."""
        with self._writer.begin() as connection:
            connection.execute(_sent, {"identity": identity, "at": now_ns})

    def mark_failed(self, identity: str, now_ns: int, next_ns: int | None, error: str) -> None:
        """It did not; try again at ``next_ns``, or never (None)."""
        row = {"identity": identity, "next": next_ns or now_ns, "dead": now_ns if next_ns is None else None, "why": error}
        with self._writer.begin() as connection:
            connection.execute(_failed, row)

    def prune(self, now_ns: int) -> None:
        """Forget what was settled long ago."""
        with self._writer.begin() as connection:
            connection.execute(_prune, {"before": now_ns - KEPT_NS})

    # -- channels -----------------------------------------------------------------------------------------------------

    def channels(self) -> list[Channel]:
        """All channels, by name."""
        with self._engine.begin() as connection:
            return [Channel._make(row) for row in connection.execute(_all_channels)]

    def channel(self, name: str) -> Channel | None:
        """One channel, or None."""
        with self._engine.begin() as connection:
            row = connection.execute(_channel, {"name": name}).first()
        return None if row is None else Channel._make(row)

    def add_channel(self, name: str, url: str, now_ns: int, shown: str = "***", by: str = "") -> Channel:
        """A new channel with a new secret; ``shown`` is its address as people may see it. Raises ChannelExists."""
        added = Channel(name, url, new_secret(), kind_of(url), shown, now_ns)
        try:
            with self._writer.begin() as connection:
                connection.execute(insert(channels), added._asdict())
                audit.add(connection, now_ns, by, "channel.add", name, after={"kind": added.kind, "url": shown})
        except IntegrityError as error:
            raise ChannelExists(f"there is a channel {name!r} already") from error
        return added

    def remove_channel(self, name: str, now_ns: int, by: str = "") -> bool:
        """Forget a channel; what waits for it is never sent. False: there is none of that name."""
        with self._writer.begin() as connection:
            row = connection.execute(_channel, {"name": name}).first()
            connection.execute(delete(channels).where(channels.c.name == name))
            connection.execute(_give_up, {"of": name, "at": now_ns})
            if row is not None:
                audit.add(connection, now_ns, by, "channel.remove", name, before={"kind": row.kind, "url": row.shown})
        return row is not None

    def page(
        self, state: str | None, page: str | None = None, limit: int = 100, incident: str | None = None, reach: Reach = EVERYTHING
    ) -> Page[Outgoing]:
        """Messages, the newest first; ``state``: waiting, sent, dead, None (all); of one incident; those that tell of nothing
        beyond ``reach``. Raises BadCursor.
        """
        query = select(outbox)  # a row's first column is its number
        if not reach.is_everything:
            query = query.where(*_tells_only_of(reach))
        if incident is not None:
            query = query.where(outbox.c.incident_ids.contains(json.dumps(incident), autoescape=True))
        if state is not None:
            query = query.where(
                {"waiting": _is_waiting, "sent": outbox.c.sent_ns.is_not(None), "dead": outbox.c.dead_ns.is_not(None)}[state]
            )
        if page is not None:
            query = query.where(outbox.c.number < page_parts(page, int)[0])
        with self._engine.begin() as connection:
            rows = list(connection.execute(query.order_by(outbox.c.number.desc()).limit(limit + 1)))
        found = page_of(rows, limit, lambda row: (row.number,))
        return Page([_outgoing(row[1:]) for row in found.items], found.next)


def _tells_only_of(reach: Reach) -> list[ColumnElement[bool]]:
    """That every incident that a message tells of is within reach, and that all of them are known by id."""
    told, count = json_values(outbox.c.incident_ids), json_number(outbox.c.payload, "count")
    readable = select(incidents.c.id).where(is_within(reach, incidents.c.workflow))
    return [
        select(func.count()).select_from(told).scalar_subquery() == count,
        count > 0,
        ~select(told.c.value).where(told.c.value.not_in(readable)).exists(),
    ]


def kind_of(url: str) -> str:
    """Plain HTTP addresses are our own signed webhook; everything else is Apprise's."""
    return WEBHOOK if url.lower().startswith(("http://", "https://")) else APPRISE


def new_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _head(connection: Connection, channel: str) -> Outgoing | None:
    row = connection.execute(_patient, {"of": channel}).first() or connection.execute(_impatient, {"of": channel}).first()
    return None if row is None else _outgoing(row)


def _row(message: Message, now_ns: int) -> dict[str, Any]:
    return {
        "id": message.id,
        "channel": message.channel,
        "incident_ids": json.dumps([each["id"] for each in message.payload.get("incidents", ())]),
        "title": message.title,
        "text": message.text,
        "payload": json.dumps(message.payload),
        "created_ns": now_ns,
        "next_ns": now_ns,
    }


def _outgoing(row: Any) -> Outgoing:
    found = Outgoing._make(row)
    return found._replace(incident_ids=json.loads(row[2]), payload=json.loads(row[5]))
