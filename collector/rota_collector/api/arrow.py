"""Long lists as Arrow: who sends ``Accept: application/vnd.apache.arrow.stream`` gets columns, and no pages."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from fastapi import Header, Response

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

Accept = Annotated[str, Header(description=f"`{MEDIA_TYPE}`: columns instead of items, times in Unix ns")]
ALSO: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}}}


def is_wanted(accept: str) -> bool:
    """Whether a header ``Accept`` asks for Arrow."""
    return MEDIA_TYPE in accept


def with_next(table: pa.Table, cursor: str | None) -> pa.Table:
    """A page: the cursor of the one that follows is in the metadata of the schema, as ``next``; without one, that was all."""
    return table.replace_schema_metadata(None if cursor is None else {"next": cursor})


def answer(table: pa.Table) -> Response:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type=MEDIA_TYPE)
