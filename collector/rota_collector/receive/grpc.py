"""OTLP over gRPC: the Export calls of the trace, logs and metrics services. Validates and keeps as HTTP does.

gRPC's asyncio server, on an event loop of its own: a thread a call, as the other server has it, is a thread for each client
that opens a call and then says nothing, and eight of them would be the end. Here they cost a coroutine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
import uvloop
from google.rpc.status_pb2 import Status

from rota.wire.names import COLLECTOR_HEADER, HTTP_PORT_HEADER, POLICY_HEADER
from rota_collector import __version__
from rota_collector.config import is_loopback
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import CollectorError, JournalError, Malformed, Refused, StoreError, TooOften
from rota_collector.journal import Journal, Signal
from rota_collector.receive import answers
from rota_collector.receive.access import Gate
from rota_collector.receive.answers import Kind
from rota_collector.receive.intake import Intake
from rota_collector.receive.tally import GRPC, Tally
from rota_collector.tls import Tls

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": (Kind.TRACES, Signal.TRACES_PROTO),
    "opentelemetry.proto.collector.logs.v1.LogsService": (Kind.LOGS, Signal.LOGS_PROTO),
    "opentelemetry.proto.collector.metrics.v1.MetricsService": (Kind.METRICS, Signal.METRICS_PROTO),
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MOST_CONNECTIONS = 4096
_OPTIONS = {
    "grpc.so_reuseport": 0,  # without, a second collector on the port is an error, as it should be
    "grpc.max_allowed_incoming_connections": _MOST_CONNECTIONS,
    "grpc.max_concurrent_streams": 128,
    "grpc.server_handshake_timeout_ms": 10_000,
    "grpc.max_connection_age_ms": 600_000,  # then it has to come again, which clients do unnoticed
    "grpc.max_connection_age_grace_ms": 60_000,  # and what has dribbled for so long is cut off
    "grpc.max_send_message_length": 4 << 20,
}


class Receiver:
    """A gRPC server on ``address`` (``host:port``; port 0 takes a free one, ``port`` tells which), with TLS if there is one.

    gRPC itself refuses messages larger than ``max_body`` bytes after decompression, with RESOURCE_EXHAUSTED. ``asking`` and
    ``http_port`` are told with every answer: the number of the policies that ask, and where they are to be had.
    Raises ``OSError`` when the address cannot be used.
    """

    port: int

    def __init__(
        self, journal: Journal, address: str, *, max_body: int = 64 << 20, tls: Tls | None = None,
        tally: Tally | None = None, gate: Gate | None = None, asking: Callable[[], int] = lambda: 0, http_port: int | None = None,
    ) -> None:  # fmt: skip
        self._asking, port = asking, () if http_port is None else ((HTTP_PORT_HEADER.lower(), str(http_port)),)
        self._about = ((COLLECTOR_HEADER.lower(), __version__), *port)
        self._intake, self._tally, self._gate = Intake(journal, "rota-grpc-validate"), tally or Tally(), gate
        self._address, self._tls = address, tls
        self._options = list({**_OPTIONS, "grpc.max_receive_message_length": max_body}.items())
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rota-grpc", daemon=True)
        self._thread.start()
        try:
            self._server = self._wait_for(self._serve())
        except RuntimeError as error:
            self._stop_loop()
            raise OSError(f"cannot listen on {address} for gRPC: {error}; stop what listens there, or set ROTA_GRPC") from error

    def close(self, grace_seconds: float = 2.0) -> None:
        """Takes no more calls, and waits for those that run."""
        self._wait_for(self._server.stop(grace_seconds))
        self._intake.close()
        self._stop_loop()

    def _wait_for(self, doing: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> Any:
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers([self._service(name, *what) for name, what in _SERVICES.items()])
        if self._tls is None:
            self.port = server.add_insecure_port(self._address)
        else:
            self.port = server.add_secure_port(self._address, self._tls.credentials())
        await server.start()
        return server

    def _service(self, name: str, kind: Kind, signal: Signal) -> Any:
        async def export(payload: bytes, context: Any) -> bytes:
            await context.send_initial_metadata((*self._about, (POLICY_HEADER.lower(), str(self._asking()))))
            try:
                outcome = await self._intake.keep(signal, payload, admitted(self._gate, context))
            except (Malformed, JournalError, Refused, StoreError) as error:
                status = _status_of(error)
                self._tally.refused(kind, GRPC, _CODES[status.code].name, status.message)
                await _abort(context, status)
            self._tally.kept(kind, GRPC, outcome, len(payload), "OK")
            return answers.accepted(kind, outcome, as_json=False)

        return grpc.method_handlers_generic_handler(name, {"Export": grpc.unary_unary_rpc_method_handler(export)})


def _status_of(error: CollectorError) -> Status:
    if isinstance(error, Malformed):
        return answers.malformed(error)
    if isinstance(error, TooOften):
        return answers.too_often(error)
    return answers.of_refused(error)[1] if isinstance(error, Refused) else answers.unavailable(error)


def admitted(gate: Gate | None, context: Any) -> Reach:
    """The workflows that the sender of a call may speak of. Raises Refused, StoreError."""
    if gate is None:
        return EVERYTHING
    authorization = next((value for name, value in context.invocation_metadata() if name == "authorization"), "")
    return gate.admit(authorization, is_local=_is_local(context.peer()))


def _is_local(peer: str) -> bool:
    """Whether a peer, as gRPC names it (``ipv4:127.0.0.1:4711``, ``ipv6:%5B::1%5D:4711``, ``unix:``), is this machine."""
    kind, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]").removeprefix("::ffff:")
    return kind in ("unix", "unix-abstract") or is_loopback(host)


async def _abort(context: Any, status: Status) -> None:
    """Ends a call with a status whose details the client can read. Raises."""
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
