"""The spans of a run as the browser draws them: numbers side by side in one block of bytes. Pure.

Layout, little-endian: length of the header (uint32), the header (JSON, padded with blanks so that what follows lies at a
multiple of 8), then one array each of ``start`` (float64, ms since the first), ``id`` (uint64), ``length`` (float32, ms;
NaN: it runs), ``parent`` (int32, a row or -1), ``name`` (uint32, into the header's ``names``), ``calls`` (uint32: how many it
stands for), ``flags`` (uint8: 1 failed, 2 a task, 4 a call of another system).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rota_dashboard.shape.failure import Breakage

FAILED, TASK, ELSEWHERE = 1, 2, 4
_CLIENT_KINDS = (3, 4, 5)


def packed(spans: pa.Table, run_id: str, now_ms: float | None) -> bytes:
    """All spans; ``now_ms`` (Unix ms) is given while the run is under way."""
    spans = spans.combine_chunks()
    starts = spans.column("started_ns").to_numpy()
    origin = int(starts[0]) if len(starts) else 0
    encoded = pc.fill_null(spans.column("name").combine_chunks(), "").dictionary_encode()
    arrays: Sequence[Any] = (
        (starts - origin) / 1e6,
        spans.column("span_id").to_numpy().astype("<u8"),
        (pc.cast(spans.column("duration_ns"), pa.float64()).to_numpy() / 1e6).astype("<f4"),
        _parents(spans).astype("<i4"),
        encoded.indices.to_numpy().astype("<u4"),
        pc.fill_null(spans.column("calls"), 1).to_numpy().astype("<u4"),
        _flags(spans),
    )
    header = {
        "names": encoded.dictionary.to_pylist(),
        "count": len(starts),
        "total": int(spans.column("total")[0].as_py()) if len(starts) else 0,
        "origin": origin / 1e6,
        "now": now_ms,
        "run": run_id,
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join([struct.pack("<I", len(text)), text, *(np.ascontiguousarray(each).tobytes() for each in arrays)])


def _parents(spans: pa.Table) -> Any:
    """For each span the row of its parent; -1 when that is not here, or it is itself."""
    ids = spans.column("span_id").to_numpy()
    parents = pc.fill_null(spans.column("parent_span_id"), 0).to_numpy()
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, parents, sorter=order)
    rows = order[np.minimum(place, len(ids) - 1)] if len(ids) else place
    found = np.where((len(ids) > 0) & (place < len(ids)) & (ids[rows] == parents), rows, -1) if len(ids) else rows
    return np.where(found == np.arange(len(ids)), -1, found)


def _flags(spans: pa.Table) -> Any:
    failed = pc.fill_null(spans.column("is_failed"), False).to_numpy(zero_copy_only=False)
    tasks = spans.column("is_task").to_numpy(zero_copy_only=False)
    elsewhere = np.isin(spans.column("kind").to_numpy(), _CLIENT_KINDS)
    return (failed * FAILED + tasks * TASK + elsewhere * ELSEWHERE).astype("u1")


def breakages(spans: pa.Table, most: int = 20) -> list[Breakage]:
    """The deepest spans that failed, by their start: where it broke, and not what was above."""
    parents = _parents(spans)
    failed = np.flatnonzero(pc.fill_null(spans.column("is_failed"), False).to_numpy(zero_copy_only=False))
    above: set[int] = set()
    for row in failed.tolist():
        up = int(parents[row])
        while up >= 0 and up not in above:
            above.add(up)
            up = int(parents[up])
    names, starts = spans.column("name"), spans.column("started_ns")
    deepest = [row for row in failed.tolist() if row not in above][:most]
    return [Breakage(names[row].as_py() or "", datetime.fromtimestamp(starts[row].as_py() / 1e9, UTC)) for row in deepest]
