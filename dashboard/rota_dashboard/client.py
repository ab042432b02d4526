"""The collector's HTTP API, as far as the pages read it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

Item = dict[str, Any]

TIMEOUT_SECONDS = 5.0


class CollectorAway(Exception):
    """Nobody answered at the collector's address."""


class CollectorRefused(Exception):
    """The collector answered with an error; the message is its own, with its hint."""


class Collector:
    """One collector. ``transport`` replaces the network in tests."""

    def __init__(self, base_url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_SECONDS, transport=transport)

    def workflows(self) -> list[Item]:
        """The workflows, one page of them."""
        return self._items("/api/v1/workflows")

    def runs(self, workflow: str | None = None, limit: int = 50) -> list[Item]:
        """The newest runs, of one workflow when it is named."""
        return self._items("/api/v1/runs", {"limit": limit} | ({"workflow": workflow} if workflow else {}))

    def run(self, run_id: str) -> Item | None:
        """A run with its ``tasks``; None when the collector knows none by that id."""
        answer = self._get(f"/api/v1/runs/{quote(run_id, safe='')}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)

    def _items(self, path: str, parameters: dict[str, Any] | None = None) -> list[Item]:
        items: list[Item] = _json(self._get(path, parameters))["items"]
        return items

    def _get(self, path: str, parameters: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return self._http.get(path, params=parameters)
        except httpx.TransportError as error:
            raise CollectorAway(str(error)) from error


def _json(answer: httpx.Response) -> Item:
    try:
        body = answer.json()
        if answer.is_success and isinstance(body, dict):
            return body
        error = body["error"]
        raise CollectorRefused(f"{error['message']} {error.get('hint') or ''}".strip())
    except (ValueError, KeyError, TypeError) as error:
        raise CollectorRefused(f"{answer.url} answered {answer.status_code}, and not as a rota collector does.") from error
