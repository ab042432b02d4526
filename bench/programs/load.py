"""A client fast enough not to be what is measured: one thread, raw sockets, requests made beforehand, answers barely read.

``load.py PORT KIND REQUESTS CONNECTIONS`` (KIND: spans, events, questions, or the path of a ping) prints JSON: seconds, p50_ms,
p99_ms, cpu_seconds (its own), and bytes sent. Each connection has one request under way, and sends the next when its answer is
there. Fails unless all are 200.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
import uuid
from collections.abc import Iterator

import payloads

_WAIT_SECONDS = 30


class Lane:
    """One connection and what is under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.rest = memoryview(b"")
        self.answer = b""
        self.began = 0.0

    def start(self, request: bytes) -> bool:
        """Begin to send; whether all went out."""
        self.rest, self.began = memoryview(request), time.perf_counter()
        return self.send()

    def send(self) -> bool:
        """Send on; whether all is out."""
        try:
            self.rest = self.rest[self.socket.send(self.rest) :]
        except BlockingIOError:
            return False
        return not self.rest

    def is_answered(self) -> bool:
        """Read what is there; whether the answer is complete. Raises ConnectionError when it is not a 200."""
        data = self.socket.recv(65536)
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not data or (end and not head.startswith(b"HTTP/1.1 200")):
            raise ConnectionError(f"answered {bytes(self.answer[:300])!r}")
        if not end or len(body) < _length(head):
            return False
        self.answer = b""
        return True


def run(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Send everything; (seconds in all, seconds of each)."""
    lanes = {lane.socket.fileno(): lane for lane in (Lane(port) for _ in range(connections))}
    poll, left = select.epoll(), iter(requests)
    latencies: list[float] = []
    began = time.perf_counter()
    for number, lane in lanes.items():
        poll.register(number, _interest(lane.start(next(left))))
    while len(latencies) < len(requests):
        ready = poll.poll(_WAIT_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer for {_WAIT_SECONDS} s after {len(latencies)} requests")
        for number, what in ready:
            _go_on(poll, lanes[number], what, left, latencies)
    return time.perf_counter() - began, latencies


def _go_on(poll: select.epoll, lane: Lane, what: int, left: Iterator[bytes], latencies: list[float]) -> None:
    if lane.rest:
        if what & ~select.EPOLLOUT:
            lane.is_answered()  # an answer before the request was out is a refusal
        if lane.send():
            poll.modify(lane.socket.fileno(), select.EPOLLIN)
    elif lane.is_answered():
        latencies.append(time.perf_counter() - lane.began)
        request = next(left, None)
        if request is not None and not lane.start(request):
            poll.modify(lane.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)


def _interest(is_sent: bool) -> int:
    return select.EPOLLIN if is_sent else select.EPOLLIN | select.EPOLLOUT


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise ConnectionError(f"an answer without a length: {head!r}")


def prepared(kind: str, count: int) -> list[bytes]:
    """The requests of that kind."""
    if kind.startswith("/"):
        return [f"GET {kind} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n".encode()] * count
    if kind == "questions":
        questions = (json.dumps({"workflow": "bench", "run_id": str(uuid.uuid4())}).encode() for _ in range(count))
        return [payloads.http("/api/v1/permission", "application/json", body) for body in questions]
    if kind == "spans":
        return [payloads.http("/v1/traces", "application/x-protobuf", body) for body in payloads.span_bodies(count)]
    return [payloads.http("/v1/logs", "application/json", body) for body in payloads.event_bodies(count)]


def main() -> None:
    """As the module says."""
    port, kind, count, connections = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    requests = prepared(kind, count)
    cpu = time.process_time()
    seconds, latencies = run(port, requests, connections)
    cpu = time.process_time() - cpu
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    sent = sum(map(len, requests))
    print(json.dumps({"seconds": seconds, "p50_ms": p50, "p99_ms": p99, "cpu_seconds": cpu, "bytes": sent}))


if __name__ == "__main__":
    main()
