"""`rota policy get --all` as a file: whatever is stored, the collector reads the same again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from rota.cli import _yaml
from rota_collector.api.documents import read

WORDS = ["on", "no", "null", "~", "010", "1.5e3", "2026-01-01", "- a", "a: b", "#", "*", "<<", "😀"]
UNPRINTABLE = ["\x7f", "\x85", "\u2028", "\ufeff", "\ufffe"]
texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(WORDS + UNPRINTABLE)
plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12)
documents = st.lists(st.dictionaries(texts, values, min_size=1, max_size=4), max_size=4)


@given(documents)
@example([{"tasks": {"load_*": {"permit": True}, "*": {}}, "a": [{"b": "x" * 120}], "c": {"d": "y" * 120}}])
@example([{"denied_value": 1e22, "skipped_value": -1e-7}])
def test_it_comes_back_as_it_was(many: list[dict[str, Any]]) -> None:
    """Values, their types and the order of keys: text that looks like a number or a word of YAML stays text."""
    text = _yaml.documents(many)
    assert json.dumps(read(text.encode(), is_json=False)) == json.dumps(many)
