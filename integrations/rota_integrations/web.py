"""Questions to a system's HTTP API, answered in JSON: the standard library does, as it honours proxies and ``SSL_CERT_FILE``."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Mapping

from rota_integrations.following import Later

_PATIENCE_SECONDS = 30.0
_SHOWN = 80  # characters of an answer that is none


def ask(
    url: str,
    query: Mapping[str, object] | None = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """What a GET, or with ``form`` a POST, is answered with.

    Args:
        url: without a query.
        query: its parameters.
        form: of a form; not in the URL, so that no log has it.
        headers: more of them.

    Raises:
        Later: the server has no time (429, 503).
        urllib.error.HTTPError: another status that is an error.
        OSError: the server cannot be reached, or takes too long.
        ValueError: the answer is not JSON, as that of a login page.
    """
    whole = url + ("?" + urllib.parse.urlencode(query) if query else "")
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(whole, data, {"Accept": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
            text = answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (429, 503):
            raise Later(_seconds(error.headers.get("Retry-After"))) from error
        raise
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("%s answers %r…, which is not JSON. Is it the API's address?" % (url, text[:_SHOWN])) from None


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After; one that is a date is not followed to the second."""
    return float(text) if text and text.strip().isdigit() else None
