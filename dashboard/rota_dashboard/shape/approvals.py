"""Approvals: what waits for a person's word, and what people said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import Item

FILTERS = {"waiting": "Waiting", "answered": "Answered"}
_SAID = {"approve": "approved", "refuse": "refused", "expired": "nobody answered in time"}
_MARKS = {"asked": "w", "approve": "s", "refuse": "x", "expired": "?"}
_ENOUGH = {"operate": ("operate", "admin"), "admin": ("admin",)}


class Known(NamedTuple):
    """What the collector said. ``policies``: by workflow, the versions of its policy."""

    page: Item
    policies: Mapping[str, list[Item]]
    at: datetime


def page(known: Known, chosen: str, cursor: str, scope: str, zone: tzinfo, away: str | None) -> Item:
    """A page of them. ``scope``: of the key of whoever looks."""
    found, now = known.page, known.at
    items = [each for each in found["items"] if (each["state"] == "asked") == (chosen == "waiting")]
    base = "/approvals"
    return {
        "title": title(len(items), is_more=bool(found["next"])) if chosen == "waiting" else "Approvals that were answered",
        "filters": [
            {"text": text, "href": base + (f"?show={key}" if key != "waiting" else ""), "on": key == chosen}
            for key, text in FILTERS.items()
        ],
        "rows": [row | {"why": _why(known.policies.get(row["name"], ()))} for row in rows(items, scope, zone, now)],
        "older": f"{base}?show={chosen}&from={found['next']}" if found["next"] else None,
        "newest": f"{base}?show={chosen}" if cursor else None,
        "empty": "Nothing waits for a person." if chosen == "waiting" else "Nobody was asked yet.",
        "now": now.timestamp() * 1000,
        "away": away,
    }


def _why(versions: Sequence[Item]) -> str | None:
    """Who wanted that somebody is asked, and why: of the stored versions the last with another word on approvals than before."""
    stored = [each for each in versions if each["origin"] == "stored"]
    asking = [_asking(each["policy"]) for each in stored] + [None]
    chosen = next((each for i, each in enumerate(stored) if asking[i] and asking[i] != asking[i + 1]), None)
    if chosen is None:
        return None
    return f"by the policy of {chosen['author']}" + (f": “{chosen['reason']}”" if chosen["reason"] else "")


def _asking(policy: Item) -> list[Item]:
    return [gate for gate in policy.get("gates") or () if gate.get("kind") == "approval"]


def title(count: int, *, is_more: bool = False) -> str:
    """How many wait for a person's word."""
    if not count:
        return "Nothing waits for a person."
    more = "more than " if is_more else ""
    return f"{more}{words.count(count, 'approval')} {'waits' if count == 1 else 'wait'} for a person"


def rows(items: Iterable[Item], scope: str, zone: tzinfo, now: datetime) -> list[Item]:
    """One each: who asks, since and until when, who may answer, what was said."""
    return [
        {
            "id": each["id"],
            "mark": _MARKS[each["state"]],
            "name": each["workflow"],
            "workflow": links.workflow(each["workflow"]),
            "run": links.run(each["run_id"]),
            "what": each["task"],
            "host": each["host"],
            "asked": words.moment(words.parsed(each["asked_at"]), zone, now),
            "since": words.millis(each["asked_at"]) if each["state"] == "asked" else None,
            "until": words.millis(each["expires_at"]) if each["state"] == "asked" else None,
            "role": each["role"],
            "may": each["state"] == "asked" and scope in _ENOUGH[each["role"]],
            "said": None if each["state"] == "asked" else _said(each, zone, now),
            "comment": each["comment"],
        }
        for each in items
    ]


def _said(each: Item, zone: tzinfo, now: datetime) -> str:
    by = f" by {each['by']}" if each["by"] else ""
    at = each["answered_at"] or each["expires_at"]
    when = f", {words.moment_within(words.parsed(at), zone, now)}" if at else ""
    return f"{_SAID[each['state']]}{by}{when}"
