"""A client that sends at a steady rate, whatever the answers take: ``paced.py PORT KIND A_SECOND SECONDS``.

KIND as in ``load.py``. Prints JSON: requests, p50_ms, p99_ms, max_ms, each from the moment a request was due, so that a server
that stops answering does not stop being measured. Fails unless all are 200.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator

import payloads

_CONNECTIONS, _WAIT_SECONDS = 16, 30


def send(port: int, due: Iterator[tuple[float, bytes]], turn: threading.Lock, path: str, kind: str, taken: list[float]) -> None:
    """Take the next request that is due, send it then, and so on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_SECONDS)
    while True:
        with turn:
            at, body = next(due, (0.0, b""))
        if not at:
            return
        time.sleep(max(0.0, at - time.perf_counter()))
        connection.request("POST", path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:  # what is missing in the end fails
            taken.append((time.perf_counter() - at) * 1000)


def main() -> None:
    """As the module says."""
    port, kind, rate, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    count = round(rate * seconds)
    are_spans = kind == "spans"
    bodies = payloads.span_bodies(count) if are_spans else payloads.event_bodies(count)
    path, content = ("/v1/traces", "application/x-protobuf") if are_spans else ("/v1/logs", "application/json")
    began = time.perf_counter() + 0.1
    due = iter([(began + number / rate, body) for number, body in enumerate(bodies)])
    taken: list[float] = []
    turn = threading.Lock()
    threads = [
        threading.Thread(target=send, args=(port, due, turn, path, content, taken), daemon=True) for _ in range(_CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(taken) < count:
        raise SystemExit(f"{count - len(taken)} of {count} requests were not answered with 200")
    taken.sort()
    told = {"requests": count, "p50_ms": taken[count // 2], "p99_ms": taken[int(count * 0.99)], "max_ms": taken[-1]}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
