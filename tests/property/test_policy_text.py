"""Whatever somebody sends as a policy: it is read or refused with a reason, and never an error of ours."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.rules.fields import FIELDS, Field
from rota_collector.api.documents import Unreadable, examine_all, read

NOW = 1_790_000_000 * 10**9

WORDS = st.sampled_from(
    [
        "a",
        "1h",
        "0s",
        "15m",
        "0 2 * * *",
        "0 0 30 2 *",
        "@daily",
        "Mon 02:00",
        "UTC",
        "Mars/Olympus",
        "host",
        "workflow",
        "script",
        "",
    ]
)
NUMBERS = st.integers(-3, 2000) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6)
STEP = st.fixed_dictionaries({"after": WORDS, "to": WORDS})


def placed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A document with these values at these paths."""
    document: dict[str, Any] = {}
    for path, value in pairs:
        *parents, last = path.split(".")
        inner = document
        for name in parents:
            if not isinstance(inner.get(name), dict):
                inner[name] = {}
            inner = inner[name]
        inner[last] = value
    return document


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(["a", "UTC", "0 2 * * *", "Europe/Berlin", "0 0 30 2 *"]),
    "duration": st.sampled_from(["1s", "15m", "2h", "1d", 90]),
    "length": st.sampled_from(["1s", "15m", "2h", "1d", 90]),
    "texts": st.sampled_from(["Mon 02:00", ["ops"], ["Mon 02:00", "Tue 03:00"], []]),
    "list": st.just([]) | st.none(),
    "named": st.dictionaries(st.sampled_from(["load_*", "a.b"]), st.just({"permit": True}), max_size=2),
    "factor": st.floats(1, 1000),
    "whole": st.integers(0, 100),
    "fraction": st.floats(0, 1),
    "failures": st.sampled_from(["TimeoutError", ["exit:75", "timeout"]]),
    "count": st.integers(1, 1000),
    "count or false": st.integers(1, 1000) | st.just(False),
    "mapping": st.none(),
}


def of_field(field: Field) -> st.SearchStrategy[tuple[str, Any]]:
    """A value that may stand at a field, or none."""
    words = st.sampled_from(field.kind.split("|"))
    return st.tuples(st.just(field.path), st.none() | GOOD.get(field.kind, words))


SINGLE = [field for field in FIELDS if field.kind != "mapping" and "[]" not in field.path and "*" not in field.path]
LIKELY = st.lists(st.sampled_from(SINGLE).flatmap(of_field), max_size=4).map(placed)
PATHS = st.sampled_from([field.path for field in FIELDS if "[]" not in field.path and "*" not in field.path])
DOCUMENTS = st.lists(st.tuples(PATHS, VALUES | st.lists(STEP, max_size=2)), max_size=6).map(placed)


@given(st.lists(LIKELY | DOCUMENTS | VALUES, max_size=3))
@settings(max_examples=300, deadline=None)
def test_every_document_is_usable_or_refused(documents):
    """In any form: what has no problem can be stored, and its name is a name."""
    for one in examine_all(documents, NOW):
        assert all(isinstance(text, str) and text for text in one.problems + one.warnings)
        assert one.problems or (one.workflow and isinstance(json.dumps(one.document), str))


@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{},&*!|>?'\"#% \n\t012.", max_size=60).map(str.encode), st.booleans())
@settings(max_examples=500, deadline=None)
def test_every_text_is_read_or_refused(body, is_json):
    """What comes out of it is what JSON has words for."""
    try:
        documents = read(body, is_json=is_json)
    except Unreadable:
        return
    json.dumps(documents, allow_nan=False)


@given(st.lists(st.dictionaries(WORDS.filter(bool), VALUES.filter(lambda value: value is not None), max_size=3), max_size=3))
@settings(max_examples=100, deadline=None)
def test_json_reads_as_it_was_written(documents):
    """A list of documents comes out as it went in."""
    assert read(json.dumps(documents).encode(), is_json=True) == documents
