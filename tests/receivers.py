"""Real receivers of alerts: HTTP, which checks signatures as a stranger would, and SMTP."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from collectors import until
from servers import free_ports


class Delivery(NamedTuple):
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float  # monotonic

    @property
    def payload(self) -> Any:
        """The JSON in it."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """As https://www.standardwebhooks.com tells a receiver to verify it."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        is_fresh = abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        return is_fresh and any(
            hmac.compare_digest(f"v1,{right}", each) for each in self.headers["webhook-signature"].split()
        )  # fmt: skip


class HttpReceiver:
    """Keeps what is posted to it; ``answers`` says what it answers: a status, headers, or seconds of silence before that."""

    def __init__(self, answer: Callable[[Delivery], tuple[int, dict[str, str]]] = lambda _: (200, {})) -> None:
        self.answer = answer
        self.deliveries: list[Delivery] = []
        self.released = threading.Event()  # for answers that wait until the test is over
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                delivery = Delivery(self.path, headers, body, time.monotonic())
                receiver.deliveries.append(delivery)
                status, more = receiver.answer(delivery)
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": "0", **more}.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:  # whoever asked was killed
                    pass

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, count: int) -> list[Delivery]:
        """The deliveries, once there are so many."""
        until(lambda: len(self.deliveries) >= count, f"{count} deliveries")
        return self.deliveries

    def close(self) -> None:
        """Stop."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class MailReceiver:
    """A mail server that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        (port,) = free_ports(1)  # aiosmtpd does not take port 0
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.url = f"mailto://127.0.0.1:{port}/?from=rota@example.org&to=ops@example.org"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (the name is aiosmtpd's)
        """Keep one mail."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def close(self) -> None:
        """Stop."""
        self._controller.stop()
