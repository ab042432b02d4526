"""Questions to a system's HTTP API, answered in JSON: the standard library does, as it honours proxies and ``SSL_CERT_FILE``."""

from __future__ import annotations

import argparse
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Mapping

from rota_integrations.following import Later

_PATIENCE_SECONDS = 30.0
_SHOWN = 80  # characters of an answer that is none


def address(example: str) -> Callable[[str], str]:
    """The type of an option that names an API; what is no address of HTTP is refused, with the example."""

    def parse(text: str) -> str:
        if not text.startswith(("http://", "https://")):
            raise argparse.ArgumentTypeError("%r is no address: write it like %s" % (text, example))
        return text

    return parse


def ask(
    url: str, query: Mapping[str, object] | None = None, *, form: Mapping[str, str] | None = None,
    content: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None,
) -> Any:  # fmt: skip
    """What a GET is answered with; with ``form`` or ``content`` a POST. None where the answer is empty.

    Args:
        url: without a query.
        query: its parameters.
        form: of a form; not in the URL, so that no log has it.
        content: the same as JSON.
        headers: more of them.

    Raises:
        Later: the server has no time (429, 503).
        urllib.error.HTTPError: another status that is an error.
        OSError: the server cannot be reached, or takes too long; the message says which.
        ValueError: the answer is not JSON, as that of a login page.
    """
    data, kind = None, {}
    if content is not None:
        data, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
    elif form is not None:
        data = urllib.parse.urlencode(form).encode()
    whole = url + ("?" + urllib.parse.urlencode(query) if query else "")
    text = read(urllib.request.Request(whole, data, {"Accept": "application/json", **kind, **(headers or {})}))
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise ValueError("%s answers %r…, which is not JSON. Is it the API's address?" % (url, text[:_SHOWN])) from None


def read(request: urllib.request.Request, tls: ssl.SSLContext | None = None) -> str:
    """The answer to a request, as a text. Raises as ``ask`` does."""
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS, context=tls) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (429, 503):
            raise Later(_seconds(error.headers.get("Retry-After"))) from error
        raise
    except urllib.error.URLError as error:
        raise ConnectionError("%s does not answer: %s" % (request.full_url.partition("?")[0], error.reason)) from error


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After; one that is a date is not followed to the second."""
    return float(text) if text and text.strip().isdigit() else None
