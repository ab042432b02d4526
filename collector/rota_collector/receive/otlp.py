"""OTLP over HTTP: POST /v1/traces, /v1/logs, /v1/metrics. A bare ASGI callable: this is the path that must be fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from google.rpc.status_pb2 import Status

from rota.wire.names import COLLECTOR_HEADER, POLICY_HEADER
from rota_collector import __version__
from rota_collector.asgi import Receive, Send
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import JournalError, Malformed, Refused, StoreError
from rota_collector.journal import Journal, Signal
from rota_collector.receive import answers, bodies
from rota_collector.receive.access import Gate, authorization_in, is_local
from rota_collector.receive.answers import Kind
from rota_collector.receive.intake import Intake
from rota_collector.receive.tally import HTTP, Tally

Headers = list[tuple[bytes, bytes]]

_PROTOBUF, _JSON = b"application/x-protobuf", b"application/json"
_NAME = (COLLECTOR_HEADER.lower().encode(), __version__.encode())  # in every answer
_POLICY = POLICY_HEADER.lower().encode()
_PATHS = {f"/v1/{kind}": kind for kind in Kind}


class _Format(NamedTuple):
    """One content type of one path."""

    kind: Kind
    signal: Signal
    as_json: bool
    headers: Headers


class _Refusal(Exception):
    """An answer other than 200. Private to this module."""

    def __init__(self, http_status: int, status: Status, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(http_status)
        self.http_status, self.status, self.headers = http_status, status, list(headers)


class Receiver:
    """ASGI application for the OTLP paths. An answer of 200 means that the journal has the request on disk.

    ``max_body`` limits a body in bytes, after decompression. ``asking`` tells the number of the policies
    that ask, for every answer; ``gate`` asks who sends (None: nobody is asked).
    """

    def __init__(
        self,
        journal: Journal,
        *,
        max_body: int = 64 << 20,
        asking: Callable[[], int] = lambda: 0,
        tally: Tally | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._max_body, self._asking, self._gate = max_body, asking, gate
        self._intake = Intake(journal, "rota-validate")
        self._tally = tally or Tally()
        self._formats = {
            (path, content_type): _Format(
                kind,
                Signal[f"{kind.name}_{'JSON' if content_type == _JSON else 'PROTO'}"],
                content_type == _JSON,
                [(b"content-type", content_type), _NAME],
            )
            for path, kind in _PATHS.items()
            for content_type in (_PROTOBUF, _JSON)
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request to a path that begins with ``/v1/``."""
        path = scope["path"]
        content_type, encoding, length = _about_body(scope["headers"])
        form = self._formats.get((path, content_type)) or self._formats.get((path, _JSON))
        extra: Headers = []
        try:
            if form is None:
                raise _Refusal(
                    404, answers.refused(answers.UNIMPLEMENTED, f"nothing is received at {path}; there are {', '.join(_PATHS)}")
                )
            _refuse_early(scope["method"], content_type, encoding, length, self._max_body)
            reach = self._admit(scope)
            payload = await bodies.read(receive, encoding, self._max_body)
            outcome = await self._intake.keep(form.signal, payload, reach)
            self._tally.kept(form.kind, HTTP, outcome, len(payload))
            http_status, body = 200, answers.accepted(form.kind, outcome, as_json=form.as_json)
        except bodies.Disconnected:
            return
        except (_Refusal, bodies.TooLarge, bodies.Corrupt, Malformed, JournalError, Refused, StoreError) as error:
            refusal = _refusal(error, self._max_body)
            http_status, extra = refusal.http_status, refusal.headers
            self._tally.refused(form.kind if form else "", HTTP, str(http_status), refusal.status.message)
            body = answers.encode(refusal.status, as_json=form is None or form.as_json)
        headers = form.headers if form else [(b"content-type", _JSON), _NAME]
        await send(
            {"type": "http.response.start", "status": http_status, "headers": self._headers(headers, form, len(body), extra)}
        )
        await send({"type": "http.response.body", "body": body})

    def _admit(self, scope: MutableMapping[str, Any]) -> Reach:
        """The workflows that the sender may speak of. Raises Refused, StoreError."""
        if self._gate is None:
            return EVERYTHING
        return self._gate.admit(authorization_in(scope["headers"]), is_local=is_local(scope))

    def _headers(self, headers: Headers, form: _Format | None, length: int, extra: Headers) -> Headers:
        headers = [*headers, (b"content-length", b"%d" % length), *extra]
        if form:
            headers.append((_POLICY, b"%d" % self._asking()))
        return headers

    def close(self) -> None:
        """Ends the validation threads. The journal is closed by whoever opened it."""
        self._intake.close()


def _about_body(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes]:
    """(content type without parameters, content encoding, content length)."""
    content_type = encoding = length = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value.strip().lower()
        elif name == b"content-length":
            length = value
    return content_type, encoding, length


def _refuse_early(method: str, content_type: bytes, encoding: bytes, length: bytes, max_body: int) -> None:
    """What can be refused before the body is read."""
    if method != "POST":
        raise _Refusal(405, answers.refused(answers.UNIMPLEMENTED, f"send POST, not {method}"), (b"allow", b"POST"))
    if content_type not in (_PROTOBUF, _JSON):
        given = content_type.decode("latin-1") or "no content type"
        raise _Refusal(
            415, answers.refused(answers.INVALID_ARGUMENT, f"send application/x-protobuf or application/json, not {given}")
        )
    if encoding not in bodies.ENCODINGS:
        raise _Refusal(
            415,
            answers.refused(answers.INVALID_ARGUMENT, f"send gzip, zstd, deflate or none, not {encoding.decode('latin-1')}"),
            (b"accept-encoding", b"gzip, zstd, deflate"),
        )
    if length.isdigit() and int(length) > max_body:
        raise bodies.TooLarge


def _refusal(error: Exception, max_body: int) -> _Refusal:
    if isinstance(error, _Refusal):
        return error
    if isinstance(error, bodies.TooLarge):
        message = f"the body is larger than {max_body} bytes after decompression; send smaller batches, or raise ROTA_MAX_BODY"
        return _Refusal(413, answers.refused(answers.RESOURCE_EXHAUSTED, message))
    if isinstance(error, Refused):
        return _Refusal(*answers.of_refused(error))
    if isinstance(error, (JournalError, StoreError)):
        return _Refusal(503, answers.unavailable(error), (b"retry-after", b"%d" % answers.RETRY_SECONDS))
    return _Refusal(400, answers.malformed(error if isinstance(error, Malformed) else Malformed(str(error))))
