"""Cursors and times as nobody was given them: a client that makes them up is told so, and nothing breaks."""

from __future__ import annotations

import base64

import pytest

from rota_collector.errors import BadCursor
from rota_collector.store.control_queries import encode, page_parts
from rota_collector.store.searches import Search, page


@pytest.mark.parametrize(
    "cursor", [encode(2**63, "a"), encode(-(2**63) - 1, "a"), encode(True, "a"), encode("a", 1), "[" * 100_000, "é", ""]
)
def test_a_cursor_that_was_made_up_is_refused(cursor):
    """Numbers that no column holds, other kinds of parts, and what is no cursor at all."""
    with pytest.raises(BadCursor, match="was not made by this collector"):
        page_parts(cursor, int, str)


@pytest.mark.parametrize("text", [b'[1, "\\ud800"]', b"[" * 100_000])
def test_what_no_database_takes_is_no_cursor(text):
    """Half of a character beyond 16 bits, and lists in lists without end."""
    with pytest.raises(BadCursor):
        page_parts(base64.urlsafe_b64encode(text).decode(), int, str)


def test_a_search_does_not_begin_before_the_first_row():
    """A cursor that would skip a negative number of rows."""
    with pytest.raises(BadCursor, match="before the first row"):
        page(lambda _: pytest.fail("nothing is read"), "started_ns", Search(0, 10), encode(10, -1), 5)
