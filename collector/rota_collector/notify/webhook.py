"""Our own webhook: one POST of JSON, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from rota_collector.notify import guard
from rota_collector.notify.outcome import LATER, NEVER, Outcome, of_status

TIMEOUT_SECONDS = 10.0
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def send(url: str, secret: str, identity: str, payload: dict[str, Any]) -> Outcome:
    """Deliver one message."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "rota",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, identity, timestamp, body),
    }
    try:
        with _session() as session, session.post(
            url, data=body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
        ) as answer:  # fmt: skip
            return _outcome(answer)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
        return Outcome(NEVER, f"the address cannot be used: {type(error).__name__}")
    except (requests.RequestException, OSError) as error:
        return Outcome(LATER, guard.last_refusal() or reason_of(error))


def sign(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, b"%s.%d.%s" % (identity.encode(), timestamp, body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in few words and without the address, which may hold a token."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_SECONDS:g} s"
    inner: BaseException | None = error
    for _ in range(6):  # as deep as requests, urllib3 and socket wrap it
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, BaseException) else _first_error(inner)
    return type(error).__name__


def _first_error(error: BaseException | None) -> BaseException | None:
    inside = [each for each in getattr(error, "args", ()) if isinstance(each, BaseException)]
    return inside[0] if inside else getattr(error, "__cause__", None) or getattr(error, "__context__", None)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxies, no .netrc
    session.verify = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), True)
    return session


def _outcome(answer: requests.Response) -> Outcome:
    said = f"it answered {answer.status_code}"
    if 300 <= answer.status_code < 400:
        return Outcome(LATER, f"{said}: redirects are not followed, name the address that it leads to")  # maintenance pages do so
    return of_status(answer.status_code, said, retry_after(answer.headers.get("Retry-After"), time.time()))


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a ``Retry-After`` asks for: a number, or a date. None: it asks for none that can be read."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
        return max(0.0, at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
