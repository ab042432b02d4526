"""How parts of a page are named, served and mounted."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from dashboard_items import HOSTILE

from rota_dashboard import parts


def test_the_address_changes_with_any_file(monkeypatch, tmp_path):
    """A browser that keeps parts for good never draws with old ones: a changed, a new, a renamed file is another address."""
    monkeypatch.setattr(parts, "WEB", tmp_path)
    seen = set()
    for name, text in (("a.js", "1"), ("a.js", "2"), ("b.js", "2"), ("look.css", "")):
        (tmp_path / name).write_text(text)
        seen.add(parts.path.__wrapped__())
    (tmp_path / "b.js").rename(tmp_path / "c.js")
    seen.add(parts.path.__wrapped__())
    assert len(seen) == 5
    assert all(each.startswith("/parts/") and len(each) == 19 for each in seen)


def test_a_part_is_loaded_as_a_module_of_its_own(monkeypatch):
    """What is sent with a page names the module; its code and what it draws are not in it."""
    made: list[tuple[str, str]] = []

    def component(name: str, *, js: str) -> Any:
        made.append((name, js))
        return None

    monkeypatch.setattr(parts, "st", SimpleNamespace(components=SimpleNamespace(v2=SimpleNamespace(component=component))))
    parts._part.__wrapped__("waterfall")
    [(name, script)] = made
    assert name == "rota_waterfall"
    assert f"import(`${{location.origin}}{parts.path()}/waterfall.js`)" in script
    assert ".default(given)" in script


@pytest.fixture
def mounted(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    """The parts that were mounted, and what they were given."""
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(parts, "_part", lambda name: lambda **given: found.append((name, given)))
    return found


@pytest.mark.parametrize("data", [{"text": f"{HOSTILE} naïve 日本", "none": None, "list": [1, 2.5, True]}, {}])
def test_a_part_is_given_plain_data(mounted, data):
    """As JSON in bytes, whatever is in it."""
    parts.draw("head", data)
    [(name, given)] = mounted
    assert (name, json.loads(given["data"])) == ("head", data)


def test_text_that_is_no_text_does_not_break_a_page(mounted):
    """Half a character, as a program may have written it, is shown as a mark."""
    parts.draw("head", {"text": "a\ud800b"})
    assert json.loads(mounted[0][1]["data"]) == {"text": "a?b"}


def test_bytes_are_given_as_they_are(mounted):
    """They have a layout of their own, which the part reads itself."""
    parts.draw("waterfall", b"\x00\xff")
    assert mounted[0][1]["data"] == b"\x00\xff"
