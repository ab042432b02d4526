"""What the servers of stand-ins have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Answering(BaseHTTPRequestHandler):
    """Answers in JSON, and logs nothing."""

    def answer(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        """Bytes as they are, all else as JSON; None is no body."""
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        length = {} if status == 204 else {"Content-Length": str(len(body))}
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **length, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    """Its URL, for the length of a block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
