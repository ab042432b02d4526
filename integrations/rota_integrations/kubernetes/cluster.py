"""The API of a cluster: lists in pages, and what changed since a version."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Iterator, Mapping

from rota.errors import UsageError
from rota_integrations.web import read

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # what Kubernetes puts into each pod
_PAGE = 500  # objects
_WATCH_SECONDS = 1  # the shortest watch: what has happened by then is all in it


class Gone(Exception):
    """What happened since that version is not kept any more (410)."""


def of_this_pod() -> Cluster:
    """The cluster that this process runs in, as its service account. Raises UsageError."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise UsageError(
            "this is no pod of a cluster: name one with --server URL, as `kubectl proxy` serves it at http://127.0.0.1:8001"
        )
    address = "[%s]" % host if ":" in host else host
    return Cluster("https://%s:%s" % (address, port), _ACCOUNT)


class Cluster:
    """Asks.

    Args:
        url: of the API, without a path.
        account: a folder with ``token``, which changes every hour, and ``ca.crt``; None: neither is needed.
    """

    def __init__(self, url: str, account: str | None = None) -> None:
        self.url, self._account = url.rstrip("/"), account
        self._tls = ssl.create_default_context(cafile=os.path.join(account, "ca.crt")) if account else None

    def listed(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Mapping[str, Any]], str]:
        """(all objects, the version that they are of). Raises OSError, HTTPError, Later, ValueError."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, object] = {"limit": _PAGE, **(query or {})}
        while True:
            page = json.loads(self._text(path, more))
            found += page.get("items") or ()
            goes_on = page["metadata"].get("continue")
            if not goes_on:
                return found, page["metadata"]["resourceVersion"]
            more["continue"] = goes_on

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """(ADDED, MODIFIED, DELETED or BOOKMARK; the object; its version), of all that came after ``version``.

        Raises:
            Gone: nobody knows that any more.
            OSError, HTTPError, Later, ValueError: as ``listed``.
        """
        query = {"watch": 1, "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS, "allowWatchBookmarks": "true"}
        try:
            text = self._text(path, query)
        except urllib.error.HTTPError as error:
            if error.code == 410:
                raise Gone from error
            raise
        for line in text.splitlines():
            event = json.loads(line)
            if event["type"] == "ERROR":
                if event["object"].get("code") == 410:
                    raise Gone
                raise ValueError("the API ends the watch of %s: %.200s" % (path, event["object"].get("message")))
            yield event["type"], event["object"], event["object"]["metadata"]["resourceVersion"]

    def _text(self, path: str, query: Mapping[str, object]) -> str:
        headers = {"Accept": "application/json"}
        if self._account:
            with open(os.path.join(self._account, "token"), encoding="ascii") as file:
                headers["Authorization"] = "Bearer " + file.read().strip()
        return read(urllib.request.Request(self.url + path + "?" + urllib.parse.urlencode(query), None, headers), self._tls)
