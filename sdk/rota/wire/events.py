"""Rendering of OTLP-JSON as text: runs, tasks and their events, one line a request.

Written for the speed of a script's start: no ``json``, no ``uuid``, no ``dataclasses``. Everything outside ASCII is
escaped, so that a line is ASCII and one byte a character. This is also the one place where secrets are taken out (see
``redact``): what leaves is text made here, so nothing new can forget to ask.
Format: the OTLP JSON encoding (ids in hex, 64-bit integers as strings, lowerCamelCase).
"""

from __future__ import annotations

from rota.wire import names, redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Mapping, TypeVar

    T = TypeVar("T")

_OURS = frozenset([name for name in vars(names).values() if type(name) is str])  # no key of ours names a secret
_heads: dict[str, tuple[str, int]] = {}  # of the keys seen: the rendered beginning, and how secret its values are
_MOST_HEADS = 1000
_HIDDEN = '{"stringValue":"%s"}}' % redact.REDACTED

_quote: Callable[[str], str] | None = None  # loaded for the first text that needs escapes: most scripts have none

MAX_TEXT = 32 * 1024  # characters of one attribute value
MAX_ITEMS = 128  # of one list or mapping
MAX_COLLECTION = 4 * MAX_TEXT  # characters of a list or mapping, with all that is in it
KIND_INTERNAL, KIND_SERVER, KIND_CLIENT = 1, 2, 3
SEVERITY_WARN = 13  # of SeverityNumber; one more than 4 is the next word: error 17, fatal 21

LOGS_OPEN, LOGS_CLOSE = '{"resourceLogs":[', "]}"
SPANS_OPEN, SPANS_CLOSE = '{"resourceSpans":[', "]}"


def text(value: str) -> str:
    """``value`` without secrets as a JSON string, quotes included."""
    if (len(value) >= redact.SHORTEST or "=" in value or ":" in value or " " in value) and redact.may_hold(value):
        value = redact.redacted(value)
    return quoted(value)


def quoted(value: str) -> str:
    """``value`` as it is, for what stays on this host. Lone surrogates (undecodable file names) become U+FFFD."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return '"' + value + '"'
    global _quote
    if _quote is None:
        _quote = _encoder()
    shown = _quote(value)
    if "\\ud" in shown:
        shown = _quote(value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return shown


def value(given: object, depth: int = 0) -> str:
    """An OTLP AnyValue. Objects that are no plain data are named by their type: their ``repr`` is never called."""
    kind = type(given)
    if kind is str:
        if len(given) < redact.SHORTEST and given.isidentifier() and given.isascii():  # type: ignore[arg-type,attr-defined]
            return '{"stringValue":"%s"}' % given  # a word: nothing to hide or to escape, as most are
        return '{"stringValue":%s}' % text(short(given))  # type: ignore[arg-type]
    if kind is bool:
        return '{"boolValue":%s}' % ("true" if given else "false")
    if kind is int:
        return _integer(given)  # type: ignore[arg-type]
    if kind is float:
        return _double(given)  # type: ignore[arg-type]
    return _other(given, depth)


def attribute(key: str, given: object, depth: int = 0, render: Callable[[object, int], str] = value) -> str:
    """One ``KeyValue``. ``render`` makes the AnyValue, unless the key says that it is a secret."""
    head, secrecy = _heads.get(key) or _head(key)
    if secrecy and redact.hides(secrecy, given):
        return head + _HIDDEN
    return head + render(given, depth) + "}"


def plain(key: str, word: str) -> str:
    """``attribute`` of one of our own keys, for a word that is known to need no look: an id."""
    return '{"key":"%s","value":{"stringValue":"%s"}}' % (key, word)


def _head(key: str) -> tuple[str, int]:
    found = '{"key":%s,"value":' % text(short(key)), 0 if key in _OURS else redact.secrecy(key)
    if len(_heads) < _MOST_HEADS and len(key) < 256:
        _heads[key] = found
    return found


def hide(keys: Iterable[str]) -> None:
    """Hide the values of these keys, too, from now on: see ``redact.further``."""
    redact.further(keys)
    _heads.clear()


def attributes(pairs: Mapping[str, object]) -> str:
    """The inside of an attribute list; entries whose value is None are left out."""
    return ",".join([attribute(key, given) for key, given in pairs.items() if given is not None])


def resource(pairs: Mapping[str, object]) -> str:
    """A ``Resource``."""
    return '{"attributes":[%s]}' % attributes(pairs)


def scope(version: str, pairs: Mapping[str, object]) -> str:
    """rota's ``InstrumentationScope``; its attributes say which run the records under it belong to."""
    return scope_of(version, attributes(pairs))


def scope_of(version: str, inner_attributes: str) -> str:
    """The same of attributes that are already JSON."""
    return '{"name":"%s","version":"%s","attributes":[%s]}' % (names.SCOPE, version, inner_attributes)


def log_record(
    at_ns: int, event_name: str, trace_id: str, span_id: str, pairs: Mapping[str, object], body: str = ""
) -> str:  # fmt: skip
    """An event: a ``LogRecord`` with a name and, when there is one, a text."""
    said = ',"body":{"stringValue":%s}' % text(short(body)) if body else ""
    return event(at_ns, event_name, trace_id, span_id, attributes(pairs), said)


def event(at_ns: int, name: str, trace_id: str, span_id: str, inner_attributes: str, more: str = "") -> str:
    """The same of attributes that are already JSON; ``more`` is more members, each with its leading comma."""
    return (
        '{"timeUnixNano":"%d","observedTimeUnixNano":"%d","eventName":"%s"%s,"attributes":[%s],"traceId":"%s","spanId":"%s"}'
        % (at_ns, at_ns, name, more, inner_attributes, trace_id, span_id)
    )


def severity(level: int) -> int:
    """OpenTelemetry's SeverityNumber of one of ``logging``'s levels: 9 for INFO (20), 13 for WARNING (30)."""
    return 1 + 4 * min(5, max(0, level // 10))


def log_message(
    at_ns: int, severity: int, word: str, body: str, trace_id: str, span_id: str, pairs: Mapping[str, object]
) -> str:  # fmt: skip
    """What a program logged: a ``LogRecord`` with a severity and a text."""
    return (
        '{"timeUnixNano":"%d","observedTimeUnixNano":"%d","severityNumber":%d,"severityText":%s,"body":{"stringValue":%s}'
        ',"attributes":[%s],"traceId":"%s","spanId":"%s"}'
        % (at_ns, at_ns, severity, text(word), text(body), attributes(pairs), trace_id, span_id)
    )


def span(
    trace_id: str, span_id: str, parent_span_id: str, name: str, kind: int, started_ns: int, ended_ns: int,
    inner_attributes: str, tail: str = "",
) -> str:  # fmt: skip
    """A ``Span``. ``name`` and ``inner_attributes`` are already JSON; ``tail`` is more members, each with its leading comma."""
    return (
        '{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":%s,"kind":%d,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"'
        ',"attributes":[%s]%s}' % (trace_id, span_id, parent_span_id, name, kind, started_ns, ended_ns, inner_attributes, tail)
    )


def link(trace_id: str, span_id: str) -> str:
    """The member of a span that links it to another one: to the attempt before."""
    return ',"links":[{"traceId":"%s","spanId":"%s"}]' % (trace_id, span_id)


def failed_tail(at_ns: int, message: str, exception: Mapping[str, object]) -> str:
    """The members of a span that failed: its status and, when something was raised, the exception event."""
    tail = ',"status":{"code":2,"message":%s}' % text(short(message))
    if exception:
        tail += ',"events":[{"timeUnixNano":"%d","name":"exception","attributes":[%s]}]' % (at_ns, attributes(exception))
    return tail


def logs_line(resource_json: str, scope_json: str, records: Iterable[str]) -> str:
    """One spool line: an ExportLogsServiceRequest."""
    return '%s{"resource":%s,"scopeLogs":[{"scope":%s,"logRecords":[%s]}]}%s\n' % (
        LOGS_OPEN, resource_json, scope_json, ",".join(records), LOGS_CLOSE,
    )  # fmt: skip


def spans_line(resource_json: str, spans_of_scope: Mapping[str, list[str]]) -> str:
    """One spool line: an ExportTraceServiceRequest; spans are grouped by their scope (already JSON)."""
    scopes = ",".join(['{"scope":%s,"spans":[%s]}' % (s, ",".join(spans)) for s, spans in spans_of_scope.items()])
    return '%s{"resource":%s,"scopeSpans":[%s]}%s\n' % (SPANS_OPEN, resource_json, scopes, SPANS_CLOSE)


def joined(lines: list[bytes]) -> bytes:
    """Several spool lines of one signal as one request: their resource lists put one after another."""
    if len(lines) == 1:
        return lines[0]
    opening = lines[0][: lines[0].index(b"[") + 1]
    return opening + b",".join([line.rstrip()[len(opening) : -2] for line in lines]) + b"]}"


def _encoder() -> Callable[[str], str]:
    try:
        from _json import encode_basestring_ascii
    except ImportError:  # an interpreter without the accelerator
        from json.encoder import py_encode_basestring_ascii as encode_basestring_ascii
    return encode_basestring_ascii


def short(given: str) -> str:
    """A text as it is, or the head and the tail of a long one: a stack's last lines matter as much as its first."""
    return given if len(given) <= MAX_TEXT else redact.shortened(given, MAX_TEXT // 2, MAX_TEXT // 2)


def _integer(given: int) -> str:
    if -0x8000000000000000 <= given <= 0x7FFFFFFFFFFFFFFF:
        return '{"intValue":"%d"}' % given
    return '{"doubleValue":%s}' % (repr(float(given)) if abs(given) < 1 << 1000 else '"Infinity"')


def _double(given: float) -> str:
    shown = repr(given)
    return '{"doubleValue":%s}' % {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}.get(shown, shown)


# Types of the standard library whose str() is plain and cheap; everything else could run the user's code.
_PLAIN_MODULES = ("datetime", "decimal", "uuid", "pathlib", "pathlib._local", "fractions")


def _other(given: object, depth: int) -> str:
    kind = type(given)
    if given is None:
        return "{}"
    if issubclass(kind, int):  # a subclass of int, such as an IntEnum
        return _integer(int.__int__(given))  # type: ignore[arg-type]
    if issubclass(kind, str):
        return value(str.__str__(given))
    if issubclass(kind, float):
        return _double(float.__float__(given))  # type: ignore[arg-type]
    if kind in (list, tuple, set, frozenset) and depth < 4:
        return '{"arrayValue":{"values":[%s]}}' % _some(given, lambda item: value(item, depth + 1))  # type: ignore[arg-type]
    if kind is dict and depth < 4:
        return _mapping(given, depth)  # type: ignore[arg-type]
    return value(_named(given))


def _mapping(given: dict[object, object], depth: int) -> str:
    def pair(item: tuple[object, object]) -> str:
        key, inner = item
        return attribute(key if type(key) is str else str(_named(key)), inner, depth + 1)

    return '{"kvlistValue":{"values":[%s]}}' % _some(given.items(), pair)


def _some(items: Iterable[T], rendered: Callable[[T], str]) -> str:
    """The first items rendered, until they are many or long."""
    found, room = [], MAX_COLLECTION
    for _, item in list(zip(range(MAX_ITEMS), items)):  # taken out at once: another thread may change what they are in
        found.append(rendered(item))
        room -= len(found[-1])
        if room < 0:
            break
    return ",".join(found)


def _named(given: object) -> object:
    """What stands for an object that is no plain data. Even to ask for its type's name may run the user's code."""
    kind = type(given)
    try:
        module, name = kind.__module__, kind.__qualname__
        if module == "numpy" and getattr(given, "ndim", 1) == 0 and type(item := given.item()) is not kind:  # type: ignore[attr-defined]
            return item  # a `longdouble` gives itself
        return str(given) if module in _PLAIN_MODULES else "<%s.%s>" % (module, name)
    except Exception:
        return "<an object>"
