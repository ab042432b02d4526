"""Badges: what they show, and whom they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from asking import SECOND, T0, Api, new_stores

from rota.rules.fold import RunEvent
from rota_collector.domain.badge import LONGEST, badge

ODD = 'a/<b>&"c"'


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """With a workflow that failed, and one of an odd name that succeeded."""
    stores = new_stores(tmp_path)
    states = ("etl", "failed"), (ODD, "succeeded")
    events = [
        RunEvent(f"e{i}", f"00000000-0000-7000-8000-{i:012}", name, state, T0, started_ns=T0 - SECOND)
        for i, (name, state) in enumerate(states)
    ]
    stores.control.apply(events, 1)
    yield Api(stores)
    stores.control.close()


def made(api: Api, scope: str) -> tuple[str, dict[str, dict[str, str]]]:
    """A key: its id, and the options of a request that carries it."""
    found = api.stores.keys.create(scope, name="", workflow=None, pattern=None, now_ns=T0)
    assert found is not None
    return found[0].id, {"headers": {"Authorization": f"Bearer {found[1]}"}}


def words(svg: str) -> list[str]:
    """The texts of a badge, which is well-formed and loads nothing."""
    tree = ET.fromstring(svg)
    assert [each for each in tree.iter() if any(name.endswith("href") for name in each.attrib)] == []
    assert "@import" not in svg
    return [each.text for each in tree.iter() if each.tag.endswith("text")]


@pytest.mark.parametrize(("name", "state"), [("etl", "failed"), (ODD, "succeeded")])
def test_a_badge_says_how_a_workflow_is(api: Api, name: str, state: str) -> None:
    """Its name and the state of its last run, whatever is in the name; it may be kept for a minute."""
    answer = api("GET", api.item(f"/workflows/{name}/badge")["path"])
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert words(answer.text) == [name, state]


def test_a_badge_needs_no_key_but_its_address(api: Api) -> None:
    """Once there are keys, the address that one of them was told opens this badge, and no other."""
    made(api, "admin")
    _, reader = made(api, "read")
    path = api("GET", "/api/v1/workflows/etl/badge", **reader).json()["path"]
    assert api("GET", path).status_code == 200
    assert api("GET", path.replace("etl", "a%2F%3Cb%3E%26%22c%22")).status_code == 404
    assert api("GET", "/badge/open/etl.svg").status_code == 404


def test_a_badge_ends_with_its_key(api: Api) -> None:
    """When the key is revoked that asked for the address, nobody sees the badge there any more."""
    made(api, "admin")
    identity, reader = made(api, "read")
    path = api("GET", "/api/v1/workflows/etl/badge", **reader).json()["path"]
    api.stores.keys.revoke(identity, T0)
    assert api("GET", path).status_code == 404


def test_a_wrong_address_tells_nothing(api: Api) -> None:
    """Whether there is such a workflow or not, the answer is the same."""
    made(api, "admin")
    known, unknown = (api("GET", f"/badge/wrong/{name}.svg") for name in ("etl", "none"))
    assert known.status_code == 404
    assert (unknown.status_code, unknown.text) == (known.status_code, known.text)


@pytest.mark.parametrize("name", ["x" * 500, "", "\x00\x1b", "ü — ✓"])
def test_a_badge_has_bounds(name: str) -> None:
    """A long name is cut, and no character makes it anything but XML."""
    label, word = words(badge(name, "timed_out"))
    assert len(label or "") <= LONGEST
    assert word == "timed out"
