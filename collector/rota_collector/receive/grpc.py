"""OTLP over gRPC: the Export calls of the trace, logs and metrics services. Validates and keeps as HTTP does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.rpc.status_pb2 import Status

from rota.wire.names import COLLECTOR_HEADER
from rota_collector import __version__
from rota_collector.decode import check
from rota_collector.errors import JournalError, Malformed
from rota_collector.journal import Journal, Signal
from rota_collector.receive import answers
from rota_collector.receive.answers import Kind
from rota_collector.receive.tally import GRPC, Tally

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": (Kind.TRACES, Signal.TRACES_PROTO),
    "opentelemetry.proto.collector.logs.v1.LogsService": (Kind.LOGS, Signal.LOGS_PROTO),
    "opentelemetry.proto.collector.metrics.v1.MetricsService": (Kind.METRICS, Signal.METRICS_PROTO),
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_THREADS = 8  # also the number of requests that share one sync


class Receiver:
    """A gRPC server on ``address`` (``host:port``; port 0 takes a free one, ``port`` tells which).

    gRPC itself refuses messages larger than ``max_body`` bytes after decompression, with RESOURCE_EXHAUSTED.
    Raises ``OSError`` when the address cannot be used.
    """

    def __init__(self, journal: Journal, address: str, *, max_body: int = 64 << 20, tally: Tally | None = None) -> None:
        self._journal, self._tally = journal, tally or Tally()
        # Without SO_REUSEPORT a second collector on the port is an error, as it should be.
        options = [("grpc.max_receive_message_length", max_body), ("grpc.so_reuseport", 0)]
        self._threads = ThreadPoolExecutor(_THREADS, "rota-grpc")
        self._server = grpc.server(self._threads, options=options)
        self._server.add_generic_rpc_handlers([self._service(name, *what) for name, what in _SERVICES.items()])
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address} for gRPC: {error}; stop what listens there, or set ROTA_GRPC") from error
        self._server.start()

    def close(self, grace_seconds: float = 2.0) -> None:
        """Takes no more calls, and waits for those that run."""
        self._server.stop(grace_seconds).wait()
        self._threads.shutdown()

    def _service(self, name: str, kind: Kind, signal: Signal) -> Any:
        def export(payload: bytes, context: Any) -> bytes:
            context.send_initial_metadata(((COLLECTOR_HEADER.lower(), __version__),))
            try:
                outcome = check(signal, payload)
                if payload:
                    self._journal.append_blocking(signal, payload)
            except (Malformed, JournalError) as error:
                status = answers.malformed(error) if isinstance(error, Malformed) else answers.unavailable(error)
                self._tally.refused(kind, GRPC, _CODES[status.code].name, status.message)
                _abort(context, status)
            self._tally.kept(kind, GRPC, outcome, len(payload), "OK")
            return answers.accepted(kind, outcome, as_json=False)

        return grpc.method_handlers_generic_handler(name, {"Export": grpc.unary_unary_rpc_method_handler(export)})


def _abort(context: Any, status: Status) -> NoReturn:
    """Ends a call with a status whose details the client can read."""
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(_CODES[status.code], status.message)
    raise AssertionError("abort raises")
