"""Declares N workflows whose slots are missed one after the other, and listens: how long after its deadline each alert came.

Arguments: port of the collector, N, seconds over which the deadlines are spread. Prints JSON lists of seconds: from the
deadline to the verdict (the time that the event itself tells), to the alert at the receiver, and of a bare POST to it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

arrived: dict[str, float] = {}


class Receiver(BaseHTTPRequestHandler):
    """Notes when the first word of each workflow came."""

    def do_POST(self) -> None:
        now = time.time()
        for incident in json.loads(self.rfile.read(int(self.headers["Content-Length"])))["incidents"]:
            arrived.setdefault(incident["workflow"], now)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Nothing."""


def timed(call: Callable[[], Any]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def ask(port: int, path: str, body: Any = None, *, empty: bool = False) -> Any:
    """The JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return None if empty else json.loads(answer.read())


def main(port: int, n: int, spread: float) -> None:
    """Store the policies, wait for the alerts, print."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask(port, "/api/v1/channels", {"name": "bench", "url": f"http://127.0.0.1:{server.server_address[1]}/"})
    documents = [
        {"workflow": f"late{i:05d}", "schedule": {"every": "5s", "grace": f"{1000 + round(i * spread * 1000 / n)}ms"}}
        for i in range(n)
    ]
    ask(port, "/api/v1/policies", documents)
    until = time.monotonic() + 60 + spread
    while len(arrived) < n and time.monotonic() < until:
        time.sleep(0.05)
    deadlines: dict[str, float] = {}
    cursor = ""
    while cursor is not None:
        page = ask(port, "/api/v1/slots?verdict=missed&limit=1000" + (f"&cursor={cursor}" if cursor else ""))
        for slot in page["items"]:  # the first slot of each is the last in the list
            deadlines[slot["workflow"]] = datetime.fromisoformat(slot["deadline_at"]).timestamp()
        cursor = page["next"]
    query = "SELECT workflow, epoch(min(happened_at)) AS at FROM slot_events WHERE verdict = 'missed' GROUP BY workflow"
    verdicts = {row["workflow"]: row["at"] for row in ask(port, "/api/v1/sql", {"query": query})["items"]}
    bare = [timed(lambda: ask(server.server_address[1], "/", {"incidents": []}, empty=True)) for _ in range(n)]
    print(json.dumps({
        "bare": bare,
        "verdicts": [verdicts[name] - at for name, at in deadlines.items() if name in verdicts],
        "alerts": [arrived[name] - at for name, at in deadlines.items() if name in arrived],
    }))  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
