"""A transport that sends small writes which follow each other at once with one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SMALL = 4096  # bytes; what is larger is not held back


class Gathering:
    """Around ``transport``. uvicorn writes the head of an answer and its body apart: two system calls, and two packets.

    What is small waits for what is written next, but not beyond this turn of the event loop, whose ``call_soon`` it is.
    """

    def __init__(self, transport: Any, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._transport, self._call_soon = transport, call_soon
        self._held: bytes | None = None
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send it, after what is held."""
        if self._held is not None:
            held, self._held = self._held, None
            self._transport.writelines((held, data))
        elif len(data) < _SMALL:
            self._held = data
            self._call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was not sent is not."""
        self._held = None
        self._transport.abort()

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None and not self.is_closing():  # nobody is there any more
            self._transport.write(held)
