"""A receiver of alerts on this machine: what the demo shows, it has really been sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota.cli._api import Item


class Receiver:
    """Listens on a free port of 127.0.0.1 and keeps what is posted. Use as a context: leaving it stops it."""

    def __init__(self) -> None:
        self.alerts: list[Item] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep one alert."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    alerts.append(json.loads(body))
                except ValueError:
                    self.send_error(400)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Say nothing: the demo prints what came."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return "http://127.0.0.1:%d/" % self._server.server_address[1]

    def about(self, workflow: str, kind: str) -> list[Item]:
        """The alerts that tell of an incident of this kind opening for a workflow."""
        wanted = {"workflow": workflow, "kind": kind, "transition": "opened"}
        return [
            alert
            for alert in list(self.alerts)
            if any(all(each.get(k) == v for k, v in wanted.items()) for each in alert.get("incidents", ()))
        ]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
