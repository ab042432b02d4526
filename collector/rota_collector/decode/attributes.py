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
_CONTROLS = {chr(code): _SHORT_ESCAPES.get(chr(code), f"\\u{code:04x}") for code in range(32)}


class Attributes:
    """A column of attribute lists (list<KeyValue>)."""

    def __init__(self, lists: pa.ListArray) -> None:
        self._lists = lists
        self._entries = lists.flatten()
        self._keys = self._entries.field("key").dictionary_encode()

    def objects(self) -> pa.StringArray:
        """One JSON object for each list; ``{}`` for an empty or missing one. Duplicate keys stay, in order."""
        if not len(self._entries):
            return pa.repeat(pa.scalar("{}"), len(self._lists))
        keys = pc.binary_join_element_wise(quoted(self._keys.dictionary), ":", "").take(self._keys.indices)
        pairs = pc.binary_join_element_wise(keys, *_parts(self._entries.field("value")), "")
        return pc.binary_join_element_wise("{", joined(self._lists, pairs), "}", "")

    def has(self, name: str) -> bool:
        """Whether any of the lists has an attribute of that name."""
        return bool(pc.index(self._keys.dictionary, name).as_py() >= 0)

    def first(self, name: str) -> pa.StringArray:
        """The string value of the first attribute of that name in each list, or null."""
        index = pc.index(self._keys.dictionary, name).as_py()
        if index < 0:
            return pa.nulls(len(self._lists), pa.string())
        mask = pc.equal(self._keys.indices, index)
        rows = pc.list_parent_indices(self._lists).filter(mask)
        texts = _child(self._entries.field("value"), "string_value").filter(mask)
        every = pa.arange(0, len(self._lists)).cast(rows.type)
        return texts if rows.equals(every) else texts.take(pc.index_in(every, value_set=rows))


def joined(lists: pa.ListArray, texts: pa.StringArray) -> pa.StringArray:
    """The texts of each list's items with commas between; empty for an empty or missing list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")


def strings(any_values: pa.StructArray) -> pa.StringArray:
    """The string of each AnyValue as it is, any other value as JSON text, null for an empty or missing one."""
    quote, text, _ = _parts(any_values)
    text = pc.coalesce(_child(any_values, "string_value"), text)
    return pc.if_else(pc.and_(pc.equal(text, "null"), pc.equal(quote, "")), None, text)


def _parts(any_values: pa.StructArray) -> tuple[pa.StringArray, pa.StringArray, pa.StringArray]:
    """JSON text of each AnyValue in three parts, ``null`` for an empty or missing one: strings are copied once, not twice."""
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
    quote = pc.if_else(_child(any_values, "string_value").is_valid(), '"', "")
    return quote, texts, quote


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
    if pc.any(pc.equal(pc.floor(numbers), numbers)).as_py():
        whole = pc.match_substring_regex(texts, "^-?[0-9]+$")
        texts = pc.if_else(whole, pc.binary_join_element_wise(texts, ".0", ""), texts)
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
