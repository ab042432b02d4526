"""What went wrong, from a line of text."""

from __future__ import annotations

import pytest

from rota_collector.domain.failure import of_message


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("ValueError: no table", "ValueError", "no table"),
        ("Flow run encountered an exception: ValueError: no table", "ValueError", "no table"),
        ("sqlalchemy.exc.OperationalError: gone\nmore", "sqlalchemy.exc.OperationalError", "gone\nmore"),
        ("no table orders", "error", "no table orders"),
        ("Error reading file: permission denied", "error", "Error reading file: permission denied"),
        ("", "error", ""),
        ("a" * 100_000, "error", "a" * 100_000),
    ],
)
def test_the_type_is_found_where_there_is_one(text: str, kind: str, message: str) -> None:
    """The name of an exception before a colon is the type; any other text is a message."""
    assert of_message(text) == (kind, message)
