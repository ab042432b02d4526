"""Addresses of the pages."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from dashboard_items import HOSTILE

from rota_dashboard.shape import links

NAMES = ['a/b c?&#"<>', "../../login", "+ %2f", "a=b;c", "naïve.日本", HOSTILE, "x" * 500]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("page", "path", "field"),
    [(links.workflow, "/workflow", "name"), (links.run, "/run", "id"), (links.incident, "/incident", "id")],
)
def test_whatever_a_thing_is_called_its_link_leads_to_it(name, page, path, field):
    """The name is one value of the query, whole; nothing in it ends the attribute or the address that it stands in."""
    address = page(name)
    assert (urlsplit(address).path, parse_qs(urlsplit(address).query)) == (path, {field: [name]})
    assert set(address).isdisjoint("\"'<> \n\x1b")
    assert "//" not in address


def test_a_timeline_is_named_by_what_is_asked_of_it():
    """Its day, its time, its lanes; without any, today's."""
    assert links.timeline() == "/timeline"
    assert parse_qs(urlsplit(links.timeline(day="2026-11-23", at="02:13")).query) == {"day": ["2026-11-23"], "at": ["02:13"]}
    assert parse_qs(urlsplit(links.timeline(by=HOSTILE)).query) == {"by": [HOSTILE]}
