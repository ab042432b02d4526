"""An HTTP server with a few known answers, for the clients under test."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator

STATUS = {"/absent": 404, "/moved": 302}


class Answering(BaseHTTPRequestHandler):
    """1,234 bytes at any path; 404 at /absent; a redirect at /moved; at /chunked 777 bytes of no length told before."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.send_response(STATUS.get(path, 200))
        if path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"309\r\n" + b"y" * 777 + b"\r\n0\r\n\r\n"
        else:
            body = b"" if path in STATUS else b"x" * 1234
            self.send_header("Content-Length", str(len(body)))
        if path == "/moved":
            self.send_header("Location", "/there")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def listening() -> Iterator[str]:
    """Where it listens, for the while: ``127.0.0.1:port``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1:%d" % server.server_address[1]
        server.shutdown()
