"""Channels, and the alerts that go through them."""

from __future__ import annotations

import uuid
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rota_collector.api import access, models, shape
from rota_collector.api.access import Asking, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Cursor, Limit
from rota_collector.clock import Clock
from rota_collector.domain.message import Message
from rota_collector.errors import ChannelExists, ChannelRefused
from rota_collector.notify.outcome import SENT, Outcome
from rota_collector.store.alerts import WEBHOOK, Alerts, Outgoing
from rota_collector.store.alerts import Channel as StoredChannel

_URL_CHARS = 4096


class Sender(Protocol):
    """What the endpoints need of the sender."""

    def check(self, url: str) -> str:
        """The address of a channel as people may see it. Raises ChannelRefused."""

    def send_now(self, channel: StoredChannel, message: Message) -> Outcome:
        """Send a message past the outbox, once."""


class Alerting(Protocol):
    """What the endpoints work with."""

    @property
    def alerts(self) -> Alerts:
        """Channels and outbox."""

    @property
    def sender(self) -> Sender:
        """Who sends."""

    @property
    def clock(self) -> Clock:
        """What time it is."""


class NewChannel(BaseModel):
    """Where alerts are to go."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="letters, digits, and . _ - between them")
    url: str = Field(min_length=1, max_length=_URL_CHARS, description="http(s): a signed webhook; anything else: Apprise")


class Channel(BaseModel):
    """Where alerts go."""

    name: str
    kind: Literal["webhook", "apprise"]
    url: str = Field(description="without what is secret in it")
    created_at: AwareDatetime


class AddedChannel(Channel):
    """A new channel."""

    secret: str | None = Field(
        description="signs the messages of a webhook; shown this once. null: the channel has no use for one"
    )


class Alert(BaseModel):
    """A message in the outbox."""

    id: str
    channel: str
    state: Literal["waiting", "sent", "dead"]
    title: str
    text: str
    incident_ids: list[str] = Field(description="of a digest, the first 20")
    created_at: AwareDatetime
    attempts: int
    next_at: AwareDatetime | None = Field(description="when it is tried again, at the earliest; null: never")
    sent_at: AwareDatetime | None
    dead_at: AwareDatetime | None = Field(description="when it was given up")
    error: str | None = Field(description="why the last attempt failed")


class Tested(BaseModel):
    """A test message that was delivered."""

    channel: str
    delivered: Literal[True]
    id: str


class RemovedChannel(BaseModel):
    """A channel that is no more."""

    removed: str


def router(alerting: Alerting) -> APIRouter:
    """``/api/v1/channels`` and ``/api/v1/alerts``."""
    router = APIRouter(prefix="/api/v1", tags=["alerts"])
    there, clock = alerting.alerts, alerting.clock

    @router.get("/channels", response_model=models.Items[Channel])
    def list_channels() -> Response:
        """Channels, by name."""
        return answer({"items": [channel_item(each) for each in there.channels()], "next": None})

    @router.post("/channels", response_model=AddedChannel, dependencies=[access.admin])
    def add_channel(body: NewChannel, asker: Asking) -> Response:
        """Add a channel. Its secret is in this answer and in no other."""
        added = _add(alerting, body, asker.who(None))
        return answer({**channel_item(added), "secret": added.secret if added.kind == WEBHOOK else None})

    @router.delete("/channels/{name}", response_model=RemovedChannel, dependencies=[access.admin])
    def remove_channel(name: str, asker: Asking) -> Response:
        """Remove a channel. What waits for it is given up."""
        if not there.remove_channel(name, clock.now_ns(), asker.who(None)):
            raise _unknown(name)
        return answer({"removed": name})

    @router.post("/channels/{name}/test", response_model=Tested, dependencies=[access.operate])
    def test_channel(name: str) -> Response:
        """Send a message through a channel now, once, and say what became of it."""
        channel = there.channel(name)
        if channel is None:
            raise _unknown(name)
        return answer(_try(alerting, channel))

    @router.get("/alerts", response_model=models.Page[Alert])
    def list_alerts(
        reads: Reads,
        state: Literal["waiting", "sent", "dead"] | None = None,
        incident: str | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Messages that were to be sent, the newest first. `dead`: nobody got them; `incident`: the id of what they tell."""
        return answer(shape.page(there.page(state, cursor, limit, incident, reads), alert_item))

    return router


def _add(alerting: Alerting, asked: NewChannel, by: str) -> StoredChannel:
    try:
        shown = alerting.sender.check(asked.url)
        return alerting.alerts.add_channel(asked.name, asked.url, alerting.clock.now_ns(), shown, by)
    except ChannelRefused as error:
        raise ApiError(422, "channel_refused", f"the address of {asked.name!r} cannot be used: {error}") from error
    except ChannelExists as error:
        raise ApiError(409, "channel_exists", str(error), "remove it first, or choose another name") from error


def _try(alerting: Alerting, channel: StoredChannel) -> dict[str, Any]:
    message = trial(channel.name, alerting.clock.now_ns())
    outcome = alerting.sender.send_now(channel, message)
    if outcome.kind != SENT:
        raise ApiError(502, "not_delivered", f"channel {channel.name!r} did not take the test message: {outcome.said}")
    return {"channel": channel.name, "delivered": True, "id": message.id}


def trial(channel: str, now_ns: int) -> Message:
    """A message that says that a channel works."""
    identity = str(uuid.uuid4())
    title, text = f"rota: channel {channel} works", f"Alerts reach this place. Nothing is wrong.\nalert {identity}"
    payload: dict[str, Any] = {
        "type": "test", "id": identity, "timestamp": shape.iso(now_ns), "title": title, "text": text, "count": 0, "incidents": [],
    }  # fmt: skip
    return Message(identity, channel, title, text, payload)


def channel_item(channel: StoredChannel) -> dict[str, Any]:
    """A channel, without what is secret."""
    return {"name": channel.name, "kind": channel.kind, "url": channel.shown, "created_at": shape.iso(channel.created_ns)}


def alert_item(message: Outgoing) -> dict[str, Any]:
    """A message in the outbox."""
    state = "sent" if message.sent_ns is not None else "dead" if message.dead_ns is not None else "waiting"
    return {
        "id": message.id,
        "channel": message.channel,
        "state": state,
        "title": message.title,
        "text": message.text,
        "incident_ids": message.incident_ids,
        "created_at": shape.iso(message.created_ns),
        "attempts": message.attempts,
        "next_at": shape.iso(message.next_ns) if state == "waiting" else None,
        "sent_at": shape.iso(message.sent_ns),
        "dead_at": shape.iso(message.dead_ns),
        "error": message.error,
    }


def _unknown(name: str) -> ApiError:
    return ApiError(404, "not_found", f"no channel is called {name!r}", "GET /api/v1/channels lists them")
