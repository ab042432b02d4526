"""An HTTP API as it was recorded: what it answered to each question, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from standins.serving import Answering, serving

Record = dict[str, Any]  # path, query, status, body


@contextmanager
def recording(url: str, records: list[Record], moved: Mapping[str, str]) -> Iterator[str]:
    """A proxy to ``url`` that keeps what it passes on.

    Args:
        records: takes it.
        moved: paths that are elsewhere there.
    """

    class Handler(Answering):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            there = httpx.get(f"{url}{moved.get(path, path)}?{query}", timeout=60, trust_env=False)
            text = "\n".join(json.dumps(_plain(json.loads(line))) for line in _documents(there.text))
            records.append({"path": path, "query": dict(parse_qsl(query)), "status": there.status_code, "body": text})
            self.answer(there.status_code, there.content)

    with serving(Handler) as proxy:
        yield proxy


def _documents(text: str) -> list[str]:
    """JSON: one, or one a line."""
    try:
        json.loads(text)
    except ValueError:
        return text.splitlines()
    return [text]


def _plain(found: Any) -> Any:
    """Without who wrote which field, which is most of it."""
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items() if name != "managedFields"}
    return [_plain(each) for each in found] if isinstance(found, list) else found


@contextmanager
def replaying(records: list[Record]) -> Iterator[str]:
    """Answers as they were recorded, each once, to the questions for which they were; 404 when there is none left."""
    left = list(records)

    class Handler(Answering):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {"path": parts.path, "query": dict(parse_qsl(parts.query))}
            found = next((each for each in left if all(each[name] == asked[name] for name in asked)), None)
            if found is None:
                self.answer(404, {"message": f"was not asked when it was recorded: {json.dumps(asked)}"})
                return
            left.remove(found)
            self.answer(found["status"], found["body"].encode())

    with serving(Handler) as url:
        yield url
