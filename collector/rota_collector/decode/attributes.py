"""Attribute lists → JSON text, a column at a time.

Text is built by Arrow's string kernels over all attributes of a batch at once. Only values that are lists, maps or
bytes are looked at one by one: ptars leaves what is inside them encoded.
"""

from __future__ import annotations

import binascii
import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_CONTROL = bytes(range(32))
_SPECIAL = _CONTROL + b'"\\'
_SPECIAL_PATTERN = '[\\x00-\\x1f"\\\\]'
_SHORT_ESCAPES = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ENDS = ["", '"', "}", '"}']  # behind a value, by whether it is the last one and whether it is a text
_CONTROLS = {chr(code): _SHORT_ESCAPES.get(chr(code), f"\\u{code:04x}") for code in range(32)}


class Attributes:
    """A column of attribute lists (list<KeyValue>)."""

    def __init__(self, lists: pa.ListArray) -> None:
        self._lists = lists
        self._entries = lists.flatten()
        self._keys = self._entries.field("key").dictionary_encode()

    def objects(self) -> pa.StringArray:
        """One JSON object for each list; ``{}`` for an empty or missing one. Duplicate keys stay, in order.

        Every byte is copied once: braces, commas and quotes come with the keys before and the ends behind the values, so
        that the entries of a list, as they lie one behind the other, are its object.
        """
        if not len(self._entries):
            return pa.repeat(pa.scalar("{}"), len(self._lists))
        is_text, texts = _parts(self._entries.field("value"))
        is_first, is_last = _bounds(pc.list_parent_indices(self._lists))
        keys = quoted(self._keys.dictionary)
        beginnings = pa.concat_arrays(
            [pc.binary_join_element_wise(mark, keys, colon, "") for mark in (",", "{") for colon in (":", ':"')]
        )
        which = pc.add(pc.multiply(_two_bits(is_first, is_text), len(keys)), self._keys.indices)
        ends = pa.array(_ENDS).take(_two_bits(is_last, is_text))
        return _side_by_side(self._lists, pc.binary_join_element_wise(beginnings.take(which), texts, ends, ""))

    def has(self, name: str) -> bool:
        """Whether any of the lists has an attribute of that name."""
        return bool(pc.index(self._keys.dictionary, name).as_py() >= 0)

    def first(self, name: str) -> pa.StringArray:
        """The string value of the first attribute of that name in each list, or null."""
        return self._first(name, "string_value", pa.string())

    def first_integer(self, name: str) -> pa.Int64Array:
        """The integer value of the first attribute of that name in each list, or null."""
        return self._first(name, "int_value", pa.int64())

    def _first(self, name: str, field: str, kind: pa.DataType) -> pa.Array:
        index = pc.index(self._keys.dictionary, name).as_py()
        if index < 0:
            return pa.nulls(len(self._lists), kind)
        mask = pc.equal(self._keys.indices, index)
        rows = pc.list_parent_indices(self._lists).filter(mask)
        values = _child(self._entries.field("value"), field).filter(mask)
        every = pa.arange(0, len(self._lists)).cast(rows.type)
        return values if rows.equals(every) else values.take(pc.index_in(every, value_set=rows))


def _bounds(parents: pa.Array) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    """Which entries are the first of their list, and which the last; there is one at least."""
    changes, edge = pc.not_equal(parents[1:], parents[:-1]), pa.array([True])
    return pa.concat_arrays([edge, changes]), pa.concat_arrays([changes, edge])


def _two_bits(high: pa.BooleanArray, low: pa.BooleanArray) -> pa.Int32Array:
    return pc.add(pc.multiply(high.cast(pa.int32()), 2), low.cast(pa.int32()))


def _side_by_side(lists: pa.ListArray, texts: pa.StringArray) -> pa.StringArray:
    """The texts of each list's items as one; ``{}`` for an empty or missing list. The bytes stay where they are."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    bounds = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    _, offsets, data = texts.buffers()
    offsets = pa.Int32Array.from_buffers(pa.int32(), len(texts) + 1, [None, offsets]).take(bounds)
    found = pa.StringArray.from_buffers(len(lists), offsets.buffers()[1], data)
    empty = pc.equal(lengths, 0)
    return pc.if_else(empty, "{}", found) if pc.any(empty).as_py() else found


def joined(lists: pa.ListArray, texts: pa.StringArray) -> pa.StringArray:
    """The texts of each list's items with commas between; empty for an empty or missing list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")


def strings(any_values: pa.StructArray) -> pa.StringArray:
    """The string of each AnyValue as it is, any other value as JSON text, null for an empty or missing one."""
    is_text, text = _parts(any_values)
    text = pc.coalesce(_child(any_values, "string_value"), text)
    return pc.if_else(pc.and_not(pc.equal(text, "null"), is_text), None, text)


def _parts(any_values: pa.StructArray) -> tuple[pa.BooleanArray, pa.StringArray]:
    """Whether each AnyValue is a string, and its JSON text without the quotes that a string has around it.

    ``null`` for an empty or missing value.
    """
    kinds = [
        ("string_value", escaped),
        ("int_value", lambda numbers: numbers.cast(pa.string())),
        ("double_value", _doubles),
        ("bool_value", lambda flags: pc.if_else(flags, "true", "false")),
        ("bytes_value", _base64),
        ("array_value", lambda lists: _one_by_one(lists, _array_text)),
        ("kvlist_value", lambda lists: _one_by_one(lists, _object_text)),
    ]
    there = [(name, text) for name, text in kinds if any_values.field(name).null_count < len(any_values)]
    texts = pc.coalesce(*(text(_child(any_values, name)) for name, text in there), "null")
    return _child(any_values, "string_value").is_valid(), texts


def quoted(texts: pa.StringArray) -> pa.StringArray:
    """Each text as a JSON string."""
    return pc.binary_join_element_wise('"', escaped(texts), '"', "")


def escaped(texts: pa.StringArray) -> pa.StringArray:
    """Each text as it stands between the quotes of a JSON string."""
    if not _contains(texts, _SPECIAL):
        return texts
    special = pc.fill_null(pc.match_substring_regex(texts, _SPECIAL_PATTERN), False)
    found = texts.filter(special)
    found = pc.replace_substring(pc.replace_substring(found, "\\", "\\\\"), '"', '\\"')
    if _contains(found, _CONTROL):
        for character, escape in _CONTROLS.items():
            found = pc.replace_substring(found, character, escape)
    return pc.replace_with_mask(texts, special, found)


def _contains(texts: pa.StringArray, characters: bytes) -> bool:
    """Whether any of the characters occurs in any of the texts. One look at all bytes: mostly nothing is to be escaped."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return False
    ends = memoryview(offsets).cast("i")
    text = data.slice(ends[texts.offset], ends[texts.offset + len(texts)] - ends[texts.offset]).to_pybytes()
    return len(text.translate(None, characters)) < len(text)


def _doubles(numbers: pa.DoubleArray) -> pa.StringArray:
    """Shortest text that reads back equal, always with the look of a double; strings for what JSON has no number for."""
    texts = numbers.cast(pa.string())
    whole = pc.fill_null(pc.equal(pc.floor(numbers), numbers), False)
    if pc.any(whole).as_py():  # few: most doubles have a fraction
        found = texts.filter(whole)
        found = pc.if_else(pc.match_substring_regex(found, "^-?[0-9]+$"), pc.binary_join_element_wise(found, ".0", ""), found)
        texts = pc.replace_with_mask(texts, whole, found)
    if pc.all(pc.is_finite(numbers)).as_py():
        return texts
    texts = pc.if_else(pc.is_nan(numbers), '"NaN"', texts)
    infinite = pc.if_else(pc.greater(numbers, 0.0), '"Infinity"', '"-Infinity"')
    return pc.if_else(pc.is_inf(numbers), infinite, texts)


def _base64(blobs: pa.BinaryArray) -> pa.StringArray:
    return pa.array([None if blob is None else _base64_text(blob) for blob in blobs.to_pylist()], pa.string())


def _one_by_one(lists: pa.StructArray, text: Any) -> pa.StringArray:
    """Texts of the few values that are lists or maps, null elsewhere."""
    there = pc.is_valid(lists)
    found = pa.array([text(value["values"]) for value in lists.filter(there).to_pylist()], pa.string())
    return pc.replace_with_mask(pa.nulls(len(lists), pa.string()), there, found)


def _array_text(encoded: list[bytes]) -> str:
    return f"[{','.join(value_text(AnyValue.FromString(item)) for item in encoded)}]"


def _object_text(members: list[bytes | dict[str, Any]]) -> str:
    return _members([_member(item) for item in members])


def _member(item: bytes | dict[str, Any]) -> Any:
    """A KeyValue. ptars stops where a type repeats itself: in attributes at KeyValue, in a body only at the value inside it."""
    if isinstance(item, bytes):
        return KeyValue.FromString(item)
    return KeyValue(key=item["key"], value=AnyValue.FromString(item["value"] or b""))


def _members(attributes: Any) -> str:
    return "{%s}" % ",".join(f"{json.dumps(item.key, ensure_ascii=False)}:{value_text(item.value)}" for item in attributes)


def value_text(value: Any) -> str:
    """JSON text of one protobuf AnyValue; the same that a column makes of it."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return json.dumps(value.string_value, ensure_ascii=False)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        return _double_text(value.double_value)
    if kind == "bytes_value":
        return _base64_text(value.bytes_value)
    if kind == "array_value":
        return f"[{','.join(value_text(item) for item in value.array_value.values)}]"
    return _members(value.kvlist_value.values) if kind == "kvlist_value" else "null"


def object_text(attributes: Any) -> str:
    """JSON text of protobuf attributes; the same that ``Attributes`` makes of a column."""
    return _members(attributes)


def _double_text(number: float) -> str:
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"Infinity"' if number > 0 else '"-Infinity"'


def _base64_text(blob: bytes) -> str:
    return f'"{binascii.b2a_base64(blob, newline=False).decode()}"'


def _child(structs: pa.StructArray, name: str) -> pa.Array:
    """A field with the nulls of the struct around it."""
    return pc.struct_field(structs, name) if structs.null_count else structs.field(name)
