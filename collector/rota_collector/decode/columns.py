"""Protobuf requests → Arrow, flattened to one row a record. What spans and log records have in common."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import ptars
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import Message

from rota.wire import names
from rota_collector.decode.attributes import Attributes
from rota_collector.decode.from_json import to_protobuf
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.decode.scalars import LAST_NS, MOST_CHARACTERS, MOST_JSON_BYTES, uuid_of
from rota_collector.journal import Record, Signal

_CALL_BYTES = 1 << 19  # ptars holds the interpreter for a whole call: 3-4 ms for this much
_BATCH_BYTES = 1 << 23  # Arrow's kernels do not, and each call has a price of its own: the more rows, the less a row
SHARED_JSON = pa.dictionary(pa.int32(), pa.json_())


class Rows(NamedTuple):
    """The records of some requests, and for each of them what stands above it."""

    records: pa.StructArray
    received_ns: pa.Array
    run_id: pa.StringArray  # told by the scope, else by the resource
    workflow: pa.StringArray  # likewise
    service: pa.StringArray
    host: pa.StringArray
    scope: pa.StringArray
    scope_version: pa.StringArray
    scope_attributes: pa.DictionaryArray  # JSON; null without any
    resource: pa.DictionaryArray  # attributes as JSON


class Requests:
    """Decodes the requests of one signal."""

    def __init__(self, request: type[Message], json_signal: Signal, fields: tuple[str, str, str]) -> None:
        self._request, self._json_signal = request, json_signal
        self._resources, self._scopes, self._records = fields
        self._codec = ptars.HandlerPool([request.DESCRIPTOR.file]).get_for_message(request.DESCRIPTOR)

    def rows(self, records: Iterable[Record]) -> Iterator[Rows]:
        """All records of the requests, in large batches."""
        decoded: list[pa.ListArray] = []
        received: list[int] = []
        size = 0
        for payloads, received_ns in _calls(self._encoded(records)):
            decoded.append(self._codec.list_to_record_batch(payloads).column(self._resources))
            received += received_ns
            size += sum(map(len, payloads))
            if size >= _BATCH_BYTES:
                yield self._flatten(pa.concat_arrays(decoded), pa.array(received, pa.int64()))
                decoded, received, size = [], [], 0
        if decoded:
            yield self._flatten(pa.concat_arrays(decoded), pa.array(received, pa.int64()))

    def messages(self, records: Iterable[Record]) -> Iterator[tuple[Any, int]]:
        """(request message, received_ns) of each piece, for what is read record by record."""
        for payload, received_ns in self._encoded(records):
            yield self._request.FromString(payload), received_ns

    def _encoded(self, records: Iterable[Record]) -> Iterator[tuple[bytes, int]]:
        for record in records:
            encoded = (record.payload,) if record.signal != self._json_signal else to_protobuf(record.signal, record.payload)
            for payload in encoded:
                for piece in pieces(payload, PIECE_BYTES):
                    yield bytes(piece), record.received_ns

    def _flatten(self, requests: pa.ListArray, received_ns: pa.Array) -> Rows:
        resources, request_of = requests.flatten(), pc.list_parent_indices(requests)
        scopes, resource_of = resources.field(self._scopes).flatten(), pc.list_parent_indices(resources.field(self._scopes))
        lists = scopes.field(self._records)
        scope_of = pc.list_parent_indices(lists)
        resource_of_record = resource_of.take(scope_of)
        about_resource = Attributes(pc.struct_field(resources, ["resource", "attributes"]))
        about_scope = Attributes(pc.struct_field(scopes, ["scope", "attributes"]))

        def above(name: str) -> pa.StringArray:
            return pc.coalesce(short(about_scope.first(name)), short(about_resource.first(name)).take(resource_of)).take(scope_of)

        return Rows(
            records=lists.flatten(),
            received_ns=received_ns.take(request_of).take(resource_of_record),
            run_id=above(names.RUN_ID),
            workflow=above(names.WORKFLOW),
            service=short(about_resource.first(names.SERVICE_NAME)).take(resource_of_record),
            host=short(about_resource.first(names.HOST_NAME)).take(resource_of_record),
            scope=short(pc.struct_field(scopes, ["scope", "name"])).take(scope_of),
            scope_version=short(pc.struct_field(scopes, ["scope", "version"])).take(scope_of),
            scope_attributes=_shared(nonempty(about_scope.objects(), "{}"), scope_of),
            resource=_shared(about_resource.objects(), resource_of_record),
        )


def _calls(payloads: Iterable[tuple[bytes, int]]) -> Iterator[tuple[list[bytes], list[int]]]:
    """Payloads for one call each, and when they were received."""
    call: list[bytes] = []
    received: list[int] = []
    size = 0
    for payload, received_ns in payloads:
        if call and size + len(payload) > _CALL_BYTES:
            yield call, received
            call, received, size = [], [], 0
        call.append(payload)
        received.append(received_ns)
        size += len(payload)
    if call:
        yield call, received


def kept(rows: Rows, mask: pa.BooleanArray) -> Rows:
    """The rows that the mask keeps."""
    if pc.all(mask).as_py() or not len(mask):
        return rows
    return Rows(*(column.filter(mask) for column in rows))


def short(texts: pa.StringArray) -> pa.StringArray:
    """Texts that are repeated in each record below, cut: megabytes of them, times a million records, would be the end."""
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    return texts if longest <= MOST_CHARACTERS else pc.utf8_slice_codeunits(texts, 0, MOST_CHARACTERS)


def left_out(size: int) -> str:
    """Stands for attributes of a resource or scope that are too large to be repeated in each record."""
    return f'{{"rota.dropped.bytes":{size}}}'


def _shared(texts: pa.StringArray, rows: pa.Array) -> pa.DictionaryArray:
    """JSON texts of resources or scopes, each there once, for the records below them."""
    sizes = pc.fill_null(pc.binary_length(texts), 0)
    if (pc.max(sizes).as_py() or 0) > MOST_JSON_BYTES:
        kept = [
            text if size <= MOST_JSON_BYTES else left_out(size)
            for text, size in zip(texts.to_pylist(), sizes.to_pylist(), strict=True)
        ]
        texts = pa.array(kept, pa.string())
    return pa.DictionaryArray.from_arrays(rows.cast(pa.int32()), json_column(texts))


def identified(ids: pa.BinaryArray, size: int) -> pa.BooleanArray:
    """Whether an id is one: of the right length, and not all zero."""
    return pc.and_(pc.equal(pc.binary_length(ids), size), pc.not_equal(ids, bytes(size)))


def uuids(ids: pa.BinaryArray) -> pa.ExtensionArray:
    """16-byte ids as UUID; null for what is no id."""
    storage = pc.if_else(identified(ids, 16), ids, None).cast(pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def uint64s(ids: pa.BinaryArray) -> pa.UInt64Array:
    """8-byte ids as numbers whose hex digits are the id's; null for what is no id."""
    fixed = pc.if_else(identified(ids, 8), ids, None).cast(pa.binary(8))
    filled = pc.fill_null(fixed, pa.scalar(bytes(8), pa.binary(8)))
    numbers = array("Q", filled.buffers()[1].to_pybytes()[filled.offset * 8 : (filled.offset + len(filled)) * 8])
    if sys.byteorder == "little":
        numbers.byteswap()
    swapped = pa.UInt64Array.from_buffers(pa.uint64(), len(numbers), [None, pa.py_buffer(numbers)])
    return pc.if_else(fixed.is_valid(), swapped, None)


def uuids_of_text(texts: pa.StringArray) -> pa.ExtensionArray:
    """Texts as UUID: itself when it is one, else one made from its hash. Each different text is looked at once."""
    encoded = texts.dictionary_encode()
    ids = pa.array([uuid_of(text).bytes for text in encoded.dictionary.to_pylist()], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), ids.take(encoded.indices))


def nanoseconds(times: pa.UInt64Array) -> pa.Int64Array:
    """Unix times, held to what TIMESTAMP_NS can say."""
    return pc.min_element_wise(times, pa.scalar(LAST_NS, pa.uint64())).cast(pa.int64())


def timestamps(times_ns: pa.Int64Array) -> pa.TimestampArray:
    """Nanoseconds as TIMESTAMP_NS."""
    return times_ns.cast(pa.timestamp("ns"))


def small(numbers: pa.Array) -> pa.UInt8Array:
    """Enums and flags as a byte; 0 for what was never defined."""
    fits = pc.and_(pc.greater_equal(numbers, 0), pc.less_equal(numbers, 255))
    return pc.if_else(fits, numbers, 0).cast(pa.uint8())


def json_column(texts: pa.StringArray) -> pa.ExtensionArray:
    """JSON text that the database need not check again."""
    return pa.ExtensionArray.from_storage(pa.json_(), texts)


def nonempty(texts: pa.StringArray, empty: str = "") -> pa.StringArray:
    """Null for the empty text."""
    return pc.if_else(pc.equal(texts, empty), None, texts)


def concat(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """One table; an empty one of that schema when there is none."""
    return pa.concat_tables(tables) if tables else schema.empty_table()
