"""Who waits for permission, and who holds what it waits for, of one workflow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rota.rules import gates
from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import Item

_SHOWN = 12  # of each


def scopes(workflow: str, policy: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """The scopes of capacity that its gates take of, an instance's on each of ``hosts``."""
    places = list(hosts) or [""]
    concurrent = [gate for gate in gates.of(policy) if gate.kind == "concurrency"]
    return sorted({gates.scope_of(gate, workflow, host) for gate in concurrent for host in places})


def asks(policy: Mapping[str, Any]) -> bool:
    """Whether anything of it asks for permission."""
    tasks = (policy.get("tasks") or {}).values()
    return bool(policy.get("gates")) or any((terms or {}).get("permit") for terms in tasks)


def line(
    workflow: str, policy: Mapping[str, Any], held: Sequence[Item], waiting: Sequence[Item], latest: Iterable[Item]
) -> Item:  # fmt: skip
    """Who holds, then who waits, who asked first first. ``latest``: runs of the workflow, as far as they are known."""
    runs = {run["id"]: run for run in latest}
    limits = {
        gates.scope_of(gate, workflow, None): gate.terms.get("limit") for gate in gates.of(policy) if gate.kind == "concurrency"
    }
    return {
        "held": [_holder(each, workflow) for each in held[:_SHOWN]],
        "waiting": [_waiter(each, place, runs.get(each["run_id"])) for place, each in enumerate(waiting[:_SHOWN], 1)],
        "facts": [
            *([f"{words.count(len(held), 'place')} taken" + _of(limits, workflow)] if limits else []),
            f"{words.count(len(waiting))} waiting" if waiting else "nobody waits",
        ],
        "more": [max(0, len(held) - _SHOWN), max(0, len(waiting) - _SHOWN)],
    }


def _of(limits: Mapping[str, Any], workflow: str) -> str:
    own = limits.get(f"workflow {workflow}")
    return f" of {own}" if own and len(limits) == 1 else ""


def _holder(each: Item, workflow: str) -> Item:
    scope = each["scope"]
    return {
        "name": each["workflow"] if each["workflow"] != workflow else None,
        "href": links.run(each["run_id"]),
        "what": each["task"],
        "host": each["host"],
        "scope": "" if scope == f"workflow {workflow}" else scope,
        "since": words.millis(each["granted_at"]),
        "until": words.millis(each["expires_at"]),
    }


def _waiter(each: Item, place: int, run: Item | None) -> Item:
    attempt = f"attempt {each['attempt']}" if each["attempt"] > 1 else ""
    why = run["reason"] if run and run["state"] == "blocked" and each["task"] is None else None
    host = f"on {run['host']}" if run and run["host"] else ""
    return {
        "place": place, "href": links.run(each["run_id"]), "what": each["task"],
        "note": " · ".join(filter(None, (host, attempt, why))), "since": words.millis(each["asked_at"]),
    }  # fmt: skip
