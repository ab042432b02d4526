"""What cannot be kept is refused before it is acknowledged; what is odd, deep or huge is decoded in bounded pieces."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from decoded import only, rows
from otlp_messages import TRACE, attributes, record, span, to_json, traces

from rota.wire import names
from rota_collector import decode
from rota_collector.decode import to_rows
from rota_collector.decode.json_pieces import PATHS, json_pieces
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.errors import Malformed
from rota_collector.journal import Record, Signal

BOTH = pytest.mark.parametrize("signal", [Signal.TRACES_PROTO, Signal.TRACES_JSON], ids=["protobuf", "json"])


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"\x0a\x05abc", b"\x0a\x02\x12\x08", b'{"resourceSpans":'],
    ids=["no tag", "too short", "torn inside", "json"],
)
def test_what_is_no_protobuf_is_malformed(payload: bytes) -> None:
    """A body that does not parse to its last byte is refused before it is kept."""
    with pytest.raises(Malformed):
        decode.check(Signal.TRACES_PROTO, payload)


@pytest.mark.parametrize(
    "odd",
    [b"\xca\xf5\x82\xce\xdf\x18\x00", b"\x80\x80\x80\x80\x80\x01\x00", b"\x98\x80\x80\x80\x80\x00\x00", b"\x9f\x47", b"\x00\x00"],
    ids=["field number", "2**35", "six bytes", "wire type 7", "field 0"],
)
def test_what_a_parser_refuses_is_malformed_in_a_large_body_too(odd: bytes) -> None:
    """A body that is read in pieces drops unknown fields beside its resources: none of them hides from the parser's rules."""
    small = traces(*(span(n) for n in range(1, 200))).SerializeToString()
    large = small * 60
    assert len(large) > PIECE_BYTES
    decode.check(Signal.TRACES_PROTO, large + b"\x18\x00")
    for payload in (large + odd, small + odd):
        with pytest.raises(Malformed):
            decode.check(Signal.TRACES_PROTO, payload)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", ""), (b"[]", ""), (b'{"resourceSpans":{}}', "resourceSpans"), (b'{"resourceSpans":[{}]', ""), (b"{} x", ""),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}', "kind"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}', "startTimeUnixNano"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}', "startTimeUnixNano"),
        (b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"9223372036854775808"}}]}}]}', "intValue"),
        (b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"bytesValue":"%%%"}}]}}]}', "bytesValue"),
        (b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":5}}]}}]}', "stringValue"),
        (b'{"resourceSpans":[{"schemaUrl":"\xff"}]}', ""),
    ],
)  # fmt: skip
def test_what_is_no_otlp_json_is_malformed(payload: bytes, field: str) -> None:
    """A body that breaks the rules of OTLP-JSON is refused, and the field is named when there is one."""
    with pytest.raises(Malformed) as caught:
        decode.check(Signal.TRACES_JSON, payload)
    assert caught.value.field.endswith(field)


@pytest.mark.parametrize(
    "one",
    [
        {"startTimeUnixNano": "5", "endTimeUnixNano": 6}, {"startTimeUnixNano": 5.0, "endTimeUnixNano": "6"},
        {"traceId": TRACE.hex().upper(), "startTimeUnixNano": 5, "endTimeUnixNano": 6},
        {"startTimeUnixNano": 5, "endTimeUnixNano": 6, "parentSpanId": None, "attributes": None, "new": [{"x": 1}]},
    ],
    ids=["string", "float", "upper-case hex", "null and unknown"],
)  # fmt: skip
def test_json_is_read_generously(one: dict[str, Any]) -> None:
    """Numbers come as strings or numbers, hex in any case, null means the default, unknown names are ignored."""
    fields = {"traceId": TRACE.hex(), "spanId": "0000000000000001"} | one
    text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).encode()
    assert decode.check(Signal.TRACES_JSON, text).rejected == 0
    row = only(to_rows.spans([record(text, Signal.TRACES_JSON)]))
    assert (row["trace_id"], row["started_at"], row["duration_ns"]) == (uuid.UUID(bytes=TRACE), 5, 1)


def test_half_a_surrogate_pair_costs_one_character() -> None:
    """A lone surrogate, as Python and JavaScript write for broken strings, becomes U+FFFD; everything else stays."""
    strings = {"alone": "a\\udc80b", "pair": "\\ud83d\\ude00", "escaped": "\\\\ud800", "last": "x\\uD800"}
    members = ",".join(f'{{"key":"{key}","value":{{"stringValue":"{text}"}}}}' for key, text in strings.items())
    text = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{members}]}}]}}]}}]}}'.encode()
    decode.check(Signal.LOGS_JSON, text)
    found = only(to_rows.logs([record(text, Signal.LOGS_JSON)]))["attributes"]
    assert found == {"alone": "a\ufffdb", "pair": "😀", "escaped": "\\ud800", "last": "x\ufffd"}


def nested(depth: int, spelled: str = "arrayValue") -> bytes:
    deep = f'{{"{spelled}":{{"values":[' * depth + "{}" + "]}}" * depth
    return f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}}}]}}]}}]}}'.encode()


@pytest.mark.parametrize("spelled", ["arrayValue", "array\\u0056alue"])
@pytest.mark.parametrize("depth", [60, 300, 100_000])
def test_json_that_nests_too_deep_is_refused(depth: int, spelled: str) -> None:
    """Nesting that could not be decoded later is refused now, however the names are spelled."""
    with pytest.raises(Malformed):
        decode.check(Signal.LOGS_JSON, nested(depth, spelled))


def test_deep_nesting_that_is_accepted_is_decoded() -> None:
    """What the check lets through is decoded whole."""
    payload = nested(40)
    decode.check(Signal.LOGS_JSON, payload)
    assert only(to_rows.logs([record(payload, Signal.LOGS_JSON)]))["body"] == "[" * 40 + "null" + "]" * 40


def field(number: int, body: bytes) -> bytes:
    """A field of bytes as protobuf writes it."""
    length, rest = len(body) & 0x7F, len(body) >> 7
    return bytes([number << 3 | 2, *([length | 0x80, rest] if rest else [length])]) + body


@pytest.mark.parametrize("depth", [1, 20, 45, 46, 47, 48, 60])
def test_deep_protobuf_is_refused_or_decoded(depth: int) -> None:
    """Whatever depth of nesting the check lets through, in a body or in attributes of a record or resource, is decoded whole."""
    value = field(1, b"end")  # an AnyValue
    for _ in range(depth):
        value = field(5, field(1, value))  # the one element of an array
    attribute = field(1, b"k") + field(2, value)
    record_bytes = field(5, value) + field(6, attribute)
    payload = field(1, field(1, field(1, attribute)) + field(2, field(2, record_bytes)))
    try:
        decode.check(Signal.LOGS_PROTO, payload)
    except Malformed:
        assert depth > 40
        return
    assert depth < 50
    row = to_rows.logs([Record(0, 1, Signal.LOGS_PROTO, 0, payload)]).to_pylist()[0]
    assert {row["body"], row["attributes"][5:-1], row["resource"][5:-1]} == {"[" * depth + '"end"' + "]" * depth}


@BOTH
def test_what_is_huge_above_is_not_repeated_in_each_row(signal: Signal) -> None:
    """Attributes of a resource or scope above 8 KiB are replaced by a note of their size, long names in it are cut."""
    huge = {"big": "x" * 10_000, names.WORKFLOW: "w" * 5000}
    request = traces(span(1), span(2), resource={"service.name": "s" * 5000, "small": 1}, scope=huge)
    first, second = rows(to_rows.spans([record(request, signal)]))
    assert list(first["scope_attributes"]) == ["rota.dropped.bytes"]
    assert first["scope_attributes"]["rota.dropped.bytes"] > 15_000
    assert (first["workflow"], second["service"], second["resource"]["small"]) == ("w" * 1000, "s" * 1000, 1)


def test_a_known_field_of_another_wire_type_is_ignored() -> None:
    """What the validating parser takes for an unknown field is none for the decoder either, and stops nothing."""
    good = traces(span(1)).SerializeToString()
    strange = good + b"\x08\x05"  # field 1 of the request as a number
    assert decode.check(Signal.TRACES_PROTO, strange).rejected == 0
    assert len(rows(to_rows.spans([record(good, Signal.TRACES_PROTO), record(strange, Signal.TRACES_PROTO)]))) == 2


@pytest.mark.parametrize("limit", [1, 200, 1000, 2000])
def test_large_protobuf_is_cut_between_records(limit: int) -> None:
    """The pieces of a request decode to the same rows in the same order as the whole, and none is much above the limit."""
    request = traces(*(span(n, {"n": n}) for n in range(1, 40)), resource={"service.name": "etl"}, scope={names.WORKFLOW: "w"})
    request.resource_spans.add().resource.attributes.extend(attributes({"no": "spans"}))
    request.resource_spans.add().CopyFrom(traces(span(40), resource={"service.name": "other"}).resource_spans[0])
    payload = request.SerializeToString()
    parts = [bytes(piece) for piece in pieces(payload, limit)]
    assert len(parts) > 1
    assert max(map(len, parts)) <= max(limit + 300, 1000)
    cut = to_rows.spans([record(part, Signal.TRACES_PROTO) for part in parts])
    assert rows(cut) == rows(to_rows.spans([record(payload, Signal.TRACES_PROTO)]))


@pytest.mark.parametrize("limit", [1, 200, 1000, 5000])
@pytest.mark.parametrize("indent", [None, 2])
def test_large_json_is_cut_between_records(limit: int, indent: int | None) -> None:
    """The pieces of a JSON request decode to the same rows in the same order, whatever the order of names and the spacing."""
    request = traces(
        *(span(n, {"n": '}]{"\\'}) for n in range(1, 40)), resource={"service.name": "etl"}, scope={names.WORKFLOW: "w"}
    )
    request.resource_spans.add().CopyFrom(traces(span(40), resource={"service.name": "other"}).resource_spans[0])
    tree = json.loads(to_json(request))
    tree["resourceSpans"] = [dict(reversed(resource.items())) for resource in tree["resourceSpans"]]
    tree["resourceSpans"].append({"resource": None, "scopeSpans": None})
    tree["later"] = [{"spans": []}]
    payload = json.dumps(tree, indent=indent).encode()
    parts = [bytes(piece) for piece in json_pieces(payload, PATHS["traces"], limit)]
    assert len(parts) > 1
    cut = to_rows.spans([record(part, Signal.TRACES_JSON) for part in parts])
    assert rows(cut) == rows(to_rows.spans([record(payload, Signal.TRACES_JSON)]))


@pytest.mark.parametrize(
    "text",
    [
        b'{"resourceSpans":[{}',
        b'{"resourceSpans":[{}]}}',
        b'{"resourceSpans":[{},]}',
        b'{"resourceSpans" [{}]}',
        b'{"resourceSpans":5}',
        b'{"resourceSpans":[5]}',
        b"{resourceSpans:[]}",
        b"[]",
        b" ",
        b'{"resourceSpans":[{}]} x',
        b'{"a":"b}',
        b'{"a\x80":1}',
        b'{"a\\x":1}',
        b'{"resourceSpans":[{} {}]}',
    ],
)
def test_large_json_that_is_none_is_malformed(text: bytes) -> None:
    """Cutting finds broken structure and says where."""
    with pytest.raises(Malformed, match="at byte"):
        list(json_pieces(text, PATHS["traces"], 0))


@pytest.mark.parametrize("size", [1 << 10, 3 << 17, 1 << 20])
def test_broken_json_beside_the_records_is_never_met_after_the_check(size: int) -> None:
    """A member that nobody needs is no JSON: such a request of any size is refused, or it is decoded later without an error."""
    spans = [span(1, {"pad": "x" * size})]
    payload = b'{"later":{no json},' + to_json(traces(*spans))[1:]
    try:
        decode.check(Signal.TRACES_JSON, payload)
    except Malformed:
        return
    assert to_rows.spans([record(payload, Signal.TRACES_JSON)]).num_rows == 1
