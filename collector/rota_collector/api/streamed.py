"""Answers that are sent as they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi.responses import StreamingResponse


class Streamed(StreamingResponse):
    """An answer of ``pieces``; ``over`` is called once when it has ended, however it did: also when nobody listens any more."""

    def __init__(
        self, pieces: AsyncIterator[bytes] | Iterator[bytes], media_type: str, over: Callable[[], None], headers: dict[str, str]
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._over = over

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()
