"""Policies between the form and the text of the dashboard: nothing is lost on the way from one to the other."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rota_collector.api.documents import read
from rota_dashboard.shape import form
from rota_dashboard.shape.spelled import spelled

NAMES = st.sampled_from(["on", "no", "~", "a b", "*", "load_*", "0x1", "2026-01-31", "a: b", "- a", "# a", "é", "1e3", "12:30"])
TEXTS = NAMES | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(0.001, 1e6)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3), max_leaves=12)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=5)
PATHS = st.sampled_from([field.path for field in form.FIELDS_OF_FORM])


@given(DOCUMENTS)
def test_what_is_spelled_is_read_as_the_same(document: dict[str, Any]) -> None:
    """In its order: words that YAML might take for something else, and signs that nobody sees, too."""
    (found,) = read(spelled(document).encode(), is_json=False)
    assert found == document
    assert list(found) == list(document)


@given(DOCUMENTS, st.dictionaries(st.sampled_from(["rules", "share", "priority", "x"]), LEAVES), PATHS, TEXTS)
def test_an_edit_changes_one_key_and_no_other(document: dict[str, Any], more: dict[str, Any], path: str, text: str) -> None:
    """What the form has no field for survives, whatever is typed; so does what is no mapping where one should be."""
    document = {**document, **more}
    touched = "schedule" if path.startswith("when") else "tasks" if path == "permit" else path.partition(".")[0].partition(":")[0]
    edited = form.edited(document, path, text)
    assert {key: value for key, value in edited.items() if key != touched} == {
        key: value for key, value in document.items() if key != touched
    }


@given(PATHS, st.sampled_from(["1", "2.5", "60s", "ops", "a, b", "cron", "operate", "0 2 * * *"]))
def test_what_is_typed_is_shown_again_and_can_be_taken_out(path: str, text: str) -> None:
    """A field shows what was typed in it; emptied, it leaves nothing behind."""
    field = next(each for each in form.FIELDS_OF_FORM if each.path == path)
    text = field.choices[-1] if field.choices else text
    edited = form.edited({}, path, text)
    assert form.values(edited)[path] == text
    if path not in (form.WHEN_TEXT, "gates:approval.within"):  # there a kind of schedule, and a gate, stay chosen
        assert form.edited(edited, path, "") == {}
