"""The bridge to a program's own ``opentelemetry-sdk``: its spans reach rota too, under our run, and it keeps its exporters.

    import rota, rota.otel
    rota.watch()
    rota.otel.install()          # after the program has set its TracerProvider

Nothing is replaced: one span processor is added to the provider that is there. A span is written to the spool as it ends,
as OTLP-JSON text (no protobuf), with its own resource and scope; the run's id is added to its attributes there, not in the
program's span. Needs ``opentelemetry-sdk``, which the program has; never raises into it.
"""

from __future__ import annotations

import atexit
import base64
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from rota._current import current
from rota._guard import guarded
from rota._run import process_run
from rota._spool import FLUSH_AFTER_NS, FLUSH_SPANS
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._run import Run
    from rota._task import Task

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_PLAIN = (str, int, bool, float)
_MOST_SCOPES = 1000  # remembered as text

_installed: WeakSet[TracerProvider] = WeakSet()


@guarded
def install(provider: object = None) -> bool | None:
    """Let the spans of a TracerProvider reach rota, and make our run the parent of its new root spans in this context.

    A second call for the same provider does nothing. A provider whose sampler decides at the root (a ratio, off) keeps
    deciding: its root spans get no parent from us, and the run's id all the same.

    Args:
        provider: an ``opentelemetry.sdk`` TracerProvider; by default the global one.

    Returns:
        Whether the provider's spans reach rota. False: there is no such provider (yet), and none is made.
    """
    chosen = trace.get_tracer_provider() if provider is None else provider
    if not isinstance(chosen, TracerProvider):
        return False
    if chosen not in _installed:
        chosen.add_span_processor(RotaSpanProcessor())
        _installed.add(chosen)
        _adopt(chosen)
    return True


def _adopt(provider: TracerProvider) -> None:
    """Make our run the current span of this context, for spans that would have no parent."""
    run = process_run()
    if run is None or trace.get_current_span().get_span_context().is_valid:
        return
    if provider.sampler.get_description().startswith(("AlwaysOnSampler", "ParentBased{root:AlwaysOnSampler")):
        parent = trace.SpanContext(int(run.trace_id, 16), int(run.span_id, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
        otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))


class RotaSpanProcessor(SpanProcessor):
    """Writes ended spans that were sampled into the spool of the run that they end in. Without a run, it does nothing."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Run, str, str, str]] = deque()  # run, then resource, scope and span as JSON
        self._flushed_at = time.monotonic_ns()
        self._ends_with_process = False
        self._resource: tuple[object, str] = (None, "")
        self._scopes: dict[int, tuple[InstrumentationScope | None, str]] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=guarded(self._flush))

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span; write all that wait when they are many or the last write is long ago."""
        place, context = current(), span.get_span_context()
        if place is None or context is None or not context.trace_flags.sampled:
            return
        self._waiting.append((place.run, self._resource_text(span), self._scope_text(span), _text(span, context, place)))
        if not self._ends_with_process:
            self._ends_with_process = True
            atexit.register(guarded(self._flush))  # later than the run's own, so it comes before that
        is_late = time.monotonic_ns() - self._flushed_at > FLUSH_AFTER_NS
        if is_late or len(self._waiting) >= FLUSH_SPANS or place.run.owner.spool.eager:
            self._flush()

    def shutdown(self) -> None:
        """Write what waits."""
        self.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 (the base class's signature)
        """Write what waits; that takes no time worth a timeout."""
        guarded(self._flush)()
        return True

    def _flush(self) -> None:
        """Safe with other threads adding: each span is taken exactly once."""
        self._flushed_at = time.monotonic_ns()
        groups: dict[tuple[Run, str], dict[str, list[str]]] = {}
        while self._waiting:
            try:
                run, resource, scope, span = self._waiting.popleft()
            except IndexError:
                break
            groups.setdefault((run, resource), {}).setdefault(scope, []).append(span)
        for (run, resource), scopes in groups.items():
            line = events.spans_line(resource, scopes).encode("ascii")
            run.owner.spool.write_spans_line(line, sum(map(len, scopes.values())))

    def _resource_text(self, span: ReadableSpan) -> str:
        known, text = self._resource
        if known is not span.resource:
            text = '{"attributes":[%s]}' % _attributes(span.resource.attributes)
            self._resource = (span.resource, text)
        return text

    def _scope_text(self, span: ReadableSpan) -> str:
        scope = span.instrumentation_scope
        known, text = self._scopes.get(id(scope), (None, ""))
        if known is not scope or not text:
            text = _scope(scope)
            if len(self._scopes) < _MOST_SCOPES:
                self._scopes[id(scope)] = (scope, text)  # the reference keeps the id its own
        return text


def _scope(scope: InstrumentationScope | None) -> str:
    if scope is None:
        return "{}"
    version = ',"version":' + events.text(scope.version) if scope.version else ""
    return '{"name":%s%s,"attributes":[%s]}' % (events.text(scope.name), version, _attributes(scope.attributes))


def _text(span: ReadableSpan, context: trace.SpanContext, place: Run | Task) -> str:
    run, parent = place.run, span.parent
    parent_id = "%016x" % parent.span_id if parent is not None else ""
    if parent_id == run.span_id:
        parent_id = place.span_id  # the task that it is part of, of which opentelemetry knows nothing
    attributes = _run_attributes(run.run_id, run.workflow)
    if span.attributes:
        attributes += "," + _attributes(span.attributes)
    return events.span(
        "%032x" % context.trace_id, "%016x" % context.span_id, parent_id, events.text(span.name), span.kind.value + 1,
        span.start_time or 0, span.end_time or 0, attributes, _tail(span, context),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _run_attributes(run_id: str, workflow: str) -> str:
    return events.attributes({names.RUN_ID: run_id, names.WORKFLOW: workflow})


def _tail(span: ReadableSpan, context: trace.SpanContext) -> str:
    """The members of a span that are mostly absent."""
    tail = ',"flags":%d' % _flags(span.parent)
    if context.trace_state:
        tail += ',"traceState":%s' % events.text(context.trace_state.to_header())
    if not span.status.is_unset:
        tail += ',"status":{"code":%d,"message":%s}' % (span.status.status_code.value, events.text(span.status.description or ""))
    inner, links = span.events, span.links
    if inner:
        tail += ',"events":[%s]' % ",".join([_event(event) for event in inner])
    if links:
        tail += ',"links":[%s]' % ",".join([_link(link) for link in links])
    return tail + _dropped(span) if span.dropped_attributes or span.dropped_events or span.dropped_links else tail


def _dropped(span: ReadableSpan) -> str:
    return ',"droppedAttributesCount":%d,"droppedEventsCount":%d,"droppedLinksCount":%d' % (
        span.dropped_attributes, span.dropped_events, span.dropped_links,
    )  # fmt: skip


def _flags(parent: trace.SpanContext | None) -> int:
    """As opentelemetry's own exporters write them: whether the parent is remote; that a span was sampled goes without saying."""
    return _HAS_IS_REMOTE | (_IS_REMOTE if parent is not None and parent.is_remote else 0)


def _event(event: Event) -> str:
    attributes = _attributes(event.attributes)
    return '{"timeUnixNano":"%d","name":%s,"attributes":[%s]}' % (event.timestamp, events.text(event.name), attributes)


def _link(link: trace.Link) -> str:
    context = link.context
    state = ',"traceState":%s' % events.text(context.trace_state.to_header()) if context.trace_state else ""
    return '{"traceId":"%032x","spanId":"%016x","attributes":[%s],"flags":%d%s}' % (
        context.trace_id, context.span_id, _attributes(link.attributes), _flags(context), state,
    )  # fmt: skip


def _attributes(pairs: Mapping[str, Any] | None) -> str:
    return ",".join([events.attribute(key, given, 0, _value) for key, given in (pairs or {}).items()])


def _value(given: Any, _depth: int = 0) -> str:
    """An OTLP AnyValue of what opentelemetry allows in attributes; unlike ours these may be bytes, at any depth."""
    if type(given) in _PLAIN:
        return events.value(given)
    if isinstance(given, bytes):
        return '{"bytesValue":"%s"}' % base64.b64encode(given).decode("ascii")
    if isinstance(given, Mapping):
        return '{"kvlistValue":{"values":[%s]}}' % _attributes(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return '{"arrayValue":{"values":[%s]}}' % ",".join([_value(item) for item in given])
    return events.value(given)
