"""The spans of a run as a block of bytes, read here as the browser reads it; and where a run broke."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dashboard_items import HOSTILE, NIGHT, Block, ns, span_columns, unpacked

import rota_dashboard
from rota_dashboard.shape import waterfall
from rota_dashboard.shape.waterfall import ELSEWHERE, FAILED, TASK, breakages

LAYOUT = {"start": "<f8", "id": "<u8", "length": "<f4", "parent": "<i4", "name": "<u4", "calls": "<u4", "flags": "u1"}
MS = 10**6
START = ns(NIGHT) or 0


def a_span(number: int, parent: int | None = None, after_ms: float = 0, **fields: Any) -> dict[str, Any]:
    return {"span_id": number, "parent_span_id": parent, "started_ns": START + round(after_ms * MS), **fields}


def block(*spans: dict[str, Any], now_ms: float | None = None) -> Block:
    return unpacked(waterfall.packed(span_columns(*spans), "run-1", now_ms), LAYOUT, 8)


def test_a_run_without_spans_is_a_header_alone():
    """Also where the columns came in no pieces at all."""
    for table in (span_columns(), span_columns().schema.empty_table()):
        found = unpacked(waterfall.packed(table, "run-1", None), LAYOUT, 8)
        assert found.header == {"names": [], "count": 0, "total": 0, "origin": 0.0, "now": None, "run": "run-1"}
        assert breakages(table) == []


def test_one_span_is_one_of_everything():
    """Its start is the origin, its id keeps all 64 bits, its length is in ms."""
    found = block(a_span(2**64 - 1, duration_ns=1_500_000))
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        "start": [0.0], "id": [2**64 - 1], "length": [1.5], "parent": [-1], "name": [0], "calls": [1], "flags": [TASK]
    }  # fmt: skip
    assert (found.header["names"], found.header["total"], found.header["origin"]) == (["load"], 1, START / MS)


def test_a_span_may_stand_for_many_calls():
    """It counts as one when it does not say."""
    assert block(a_span(1), a_span(2, calls=2_500_000_000), a_span(3, calls=0)).arrays["calls"].tolist() == [1, 2_500_000_000, 0]


def test_starts_are_ms_since_the_first():
    """To the microsecond, also of a run of many days."""
    found = block(a_span(1), a_span(2, after_ms=0.001), a_span(3, after_ms=9 * 86_400_000 + 0.5))
    assert found.arrays["start"].tolist() == pytest.approx([0, 0.001, 9 * 86_400_000 + 0.5], abs=1e-6)


def test_a_parent_is_a_row():
    """Before or after its child; none for a root, for one whose parent is elsewhere, for one that calls itself its parent."""
    found = block(
        a_span(30, 10), a_span(10, None, 1), a_span(20, 30, 2), a_span(40, 999, 3), a_span(50, 50, 4), a_span(60, 2**64 - 1, 5)
    )
    assert found.arrays["parent"].tolist() == [1, -1, 0, -1, -1, -1]


def test_spans_that_are_each_others_parents_are_rows_all_the_same():
    """What they say is passed on, and nobody follows the ring for ever."""
    spans = [a_span(1, 2, is_failed=True), a_span(2, 3, 1, is_failed=True), a_span(3, 1, 2)]
    assert block(*spans).arrays["parent"].tolist() == [1, 2, 0]
    assert breakages(span_columns(*spans)) == []


def test_what_has_not_ended_has_no_length():
    """NaN, with the time by which it still ran in the header."""
    found = block(a_span(1, duration_ns=None), a_span(2, after_ms=1), now_ms=START / MS + 5000)
    assert math.isnan(found.arrays["length"][0])
    assert found.arrays["length"][1] == 1000
    assert found.header["now"] - found.header["origin"] == 5000


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"is_task": False, "kind": 1}, 0), ({"is_task": True}, TASK), ({"is_task": False, "is_failed": True}, FAILED),
        ({"is_task": False, "kind": 3}, ELSEWHERE), ({"is_task": False, "kind": 2}, 0),
        ({"is_task": False, "kind": 5}, ELSEWHERE), ({"is_task": True, "kind": 4, "is_failed": True}, FAILED | TASK | ELSEWHERE),
        ({"is_task": False, "is_failed": None}, 0),
    ],
)  # fmt: skip
def test_flags_say_what_kind_of_span_it_is(fields, flags):
    """Failed, a task, a call of another system; each by itself."""
    assert block(a_span(1, **fields)).arrays["flags"].tolist() == [flags]


def test_names_are_kept_once_and_whole():
    """Whatever is in them; a task without a name has an empty one."""
    names = ["load", "naïve 日本 🚀", HOSTILE, "load", None, "x" * 3000]
    found = block(*(a_span(i, name=name) for i, name in enumerate(names, 1)))
    assert [found.header["names"][place] for place in found.arrays["name"]] == [name or "" for name in names]
    assert len(found.header["names"]) == 5


def test_columns_in_several_pieces_are_one():
    """The collector sends many spans in several batches."""
    pieces = [
        span_columns(a_span(1, name="a"), a_span(2, 1, 1, name="b")),
        span_columns(a_span(3, 2, 2, name="a", is_failed=True)),
    ]
    table = pa.concat_tables(pieces)
    assert table.column("name").num_chunks == 2
    found = unpacked(waterfall.packed(table, "run-1", None), LAYOUT, 8)
    assert found.arrays["parent"].tolist() == [-1, 0, 1]
    assert [found.header["names"][place] for place in found.arrays["name"]] == ["a", "b", "a"]
    assert [each.name for each in breakages(table)] == ["a"]


def test_the_header_says_how_many_there_were():
    """When not all of them fitted."""
    assert block(a_span(1, total=70_000)).header["total"] == 70_000


def test_it_broke_where_nothing_below_failed():
    """An ancestor that failed with its child is not where it broke, even when something between them went well; in order."""
    spans = [
        a_span(1, is_failed=True, name="run"), a_span(2, 1, 1, name="retrying"), a_span(3, 2, 2, is_failed=True, name="load"),
        a_span(4, 1, 3, is_failed=True, name="publish"), a_span(5, 4, 4, name="fine"),
    ]  # fmt: skip
    found = breakages(span_columns(*spans))
    assert [each.name for each in found] == ["load", "publish"]
    assert (found[0].at - NIGHT).total_seconds() == 0.002


def test_only_so_many_breakages_are_looked_at():
    """The first ones by their start."""
    table = span_columns(*(a_span(i, None, i, is_failed=True, name=str(i)) for i in range(1, 50)))
    assert [each.name for each in breakages(table, 3)] == ["1", "2", "3"]
    assert len(breakages(table)) == 20


def test_the_browser_reads_the_arrays_in_the_order_in_which_they_are_written():
    """``spans.js`` takes the same kinds, one after the other, and means the same by the flags."""
    source = (Path(rota_dashboard.__file__).parent / "parts" / "web" / "spans.js").read_text()
    kinds = {
        "<f8": "Float64Array",
        "<u8": "BigUint64Array",
        "<f4": "Float32Array",
        "<i4": "Int32Array",
        "<u4": "Uint32Array",
        "u1": "Uint8Array",
    }
    assert f"const kinds = [{', '.join(kinds[kind] for kind in LAYOUT.values())}];" in source
    found = re.search(r"const FAILED = (\d+), ELSEWHERE = (\d+)", source)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (FAILED, ELSEWHERE)
