"""Everything that Apprise can reach: mail, chats, telephones. Imported when the first such channel is used."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

import apprise
import requests
from apprise import common

from rota_collector.notify import guard, urls
from rota_collector.notify.outcome import LATER, NEVER, SENT, Outcome, of_status

LOCAL = ("syslog", "dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "blink1", "file", "gntp")
_NO_PATHS = ("json", "jsons", "xml", "xmls", "form", "forms")  # Apprise shows their paths, which may be secret
_STATUS = re.compile(r"error=(\d{3})\b")
_MENTION = re.compile(r"(@(?=everyone|here|channel|all\b)|<(?=[!@#]))", re.IGNORECASE)
_SHOWN_CHARS = 300


def send(url: str, title: str, text: str, payload: dict[str, Any]) -> Outcome:
    """Deliver one message."""
    with _Log(url) as log:
        target = _target(url)
        if target is None:
            return Outcome(NEVER, log.said or "Apprise no longer understands the address")
        box = apprise.Apprise(asset=target.asset)
        box.add(target)
        result = box.notify(inert(text), inert(title), _tone(payload), body_format=common.NotifyFormat.TEXT)
    if result:
        return Outcome(SENT)
    refused = guard.last_refusal()
    status = _STATUS.search(log.said)
    if refused is None and status is not None:
        return of_status(int(status.group(1)), log.said)
    return Outcome(LATER, refused or log.said or "Apprise could not deliver it, and does not say why")


def check(url: str) -> Outcome:
    """Whether Apprise takes an address; ``said`` is the address as people may see it, or what is wrong with it."""
    scheme = url.partition("://")[0].lower()
    if scheme in LOCAL:
        return Outcome(NEVER, f"{scheme}:// would do something on the collector's machine, and messages only leave it")
    with _Log(url) as log:
        target = _target(url)
    if target is None:
        return Outcome(NEVER, log.said or f"Apprise does not understand this {scheme}:// address")
    plain = str(target.url(privacy=True)).partition("?")[0]
    return Outcome(SENT, urls.shown(plain) if scheme in _NO_PATHS else plain)


def inert(text: str) -> str:
    """``text`` in which nothing that a script wrote calls people: chats take ``@everyone`` and ``<!here>`` for orders."""
    return _MENTION.sub("\\1\u2060", text)


def _tone(payload: dict[str, Any]) -> common.NotifyType:
    """The colour that a service gives to a message, where it has any."""
    transitions = {each["transition"] for each in payload.get("incidents", ())}
    if not transitions:
        return common.NotifyType.INFO
    return common.NotifyType.SUCCESS if transitions <= {"closed", "retracted"} else common.NotifyType.FAILURE


def _target(url: str) -> Any:
    """Apprise's object for an address, without what an address could ask of this machine; None: it cannot be used."""
    asset = apprise.AppriseAsset(
        app_id="rota", app_desc="rota", app_url="", async_mode=False, http_redirects=False, pem_autogen=False, pgp_autogen=False,
        secure_logging=True, service_timeout=0, storage_mode=common.PersistentStoreMode.MEMORY, plugin_paths=[],
    )  # fmt: skip
    target = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if target is not None:
        target.redirects = False
        if "overflow=" not in url.lower():
            target.overflow_mode = common.OverflowMode.SPLIT  # else what is longer than a chat allows is refused
    return target


class _Log(logging.Handler):
    """What Apprise says in this thread: it has no other way to tell why."""

    def __init__(self, url: str) -> None:
        super().__init__(logging.WARNING)
        self._url, self._thread, self._lines = url, threading.get_ident(), list[str]()
        self.addFilter(lambda record: record.thread == self._thread)

    @property
    def said(self) -> str:
        """The last words, in one line, without what is secret in the address."""
        return urls.without_secrets(" ".join(" ".join(self._lines[-2:]).split()), self._url)[:_SHOWN_CHARS]

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def __enter__(self) -> _Log:
        _logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _logger.removeHandler(self)


_logger = logging.getLogger("apprise")
_logger.addHandler(logging.NullHandler())  # nothing of it on stderr
_logger.propagate = False
# `redirect=yes` in an address must not send a message somewhere else.
requests.Session.get_redirect_target = lambda *_: None  # type: ignore[method-assign]
