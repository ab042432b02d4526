"""Which policies ask something of a run: what a host needs of them, and a number that tells whether it has the latest.

Kept in memory beside the policies, so that nobody who asks waits for a query. The number is made of what they say: it is the
same after a restart, and another one as soon as anything in it is another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from rota.rules.budget import Budget, budget_of, strictest

ASKING = ("retry", "gates", "tasks", "rules")  # the parts that ask
_SPELLED = tuple(f'"{key}":' for key in ASKING)
_BYTES = 6  # of the number, which so is exact in JSON whoever reads it

Document = dict[str, Any]


class Shared(NamedTuple):
    """A retry budget as a policy names it: for its runs, or for functions."""

    budget: Budget
    is_of_runs: bool


class Asking:
    """The policies that ask, by workflow. ``changed`` are called with the name of a workflow whose asking changed."""

    def __init__(self, default_budget: Document | None = None) -> None:
        self._default_budget = default_budget  # of retries whose policy names none
        self._turn = threading.Lock()
        self._number = 0
        self._asks: dict[str, Document] = {}  # what a host needs
        self._whole: dict[str, Document] = {}
        self.ruled: frozenset[str] = frozenset()  # workflows with rules on the run in flight
        self._pools: dict[str, dict[str, int]] = {}  # name → workflow → the limit that its policy gives
        self._budgets: dict[str, dict[str, list[Shared]]] = {}  # name → workflow → how its policy shares it
        self.changed: list[Callable[[str], None]] = []

    @property
    def number(self) -> int:
        """0: none asks; else it changes whenever they do."""
        return (self._number or 1) if self._asks else 0

    def documents(self) -> dict[str, Document]:
        """What a host needs of each policy that asks, by workflow."""
        return dict(self._asks)

    def policy(self, workflow: str) -> Document | None:
        """The whole policy of a workflow, if it asks."""
        return self._whole.get(workflow)

    def pool_limit(self, name: str) -> int | None:
        """The smallest limit that a policy gives a pool; None: no policy names it."""
        return min(self._pools.get(name, {}).values(), default=None)

    def budgets(self) -> list[Budget]:
        """The retry budgets that policies name, by name."""
        return [found for found in map(self.budget, sorted(self._budgets)) if found is not None]

    def budget(self, name: str) -> Budget | None:
        """What holds for a budget: the smallest that any policy says of it; None: none names it."""
        named = [shared.budget for of in list(self._budgets.get(name, {}).values()) for shared in of]
        return strictest(named) if named else None

    def who_shares(self, name: str) -> list[str]:
        """The workflows whose policies name a budget, for their runs or for functions."""
        return list(self._budgets.get(name, ()))

    def whose_runs(self, name: str) -> list[str]:
        """The workflows whose runs are tried again out of a budget."""
        return [workflow for workflow, of in dict(self._budgets.get(name, {})).items() if any(each.is_of_runs for each in of)]

    def begin(self, policies: Mapping[str, tuple[int, str]]) -> None:
        """These are all policies: (version, document as JSON) by workflow."""
        with self._turn:
            self._number, self._whole, self._pools, self._budgets = 0, {}, {}, {}
            self._asks = {}
            for name, (version, document) in policies.items():
                self._keep(name, version, document)
            self._note_rules()

    def note(self, workflow: str, version: int, document: str) -> None:
        """The policy of a workflow is another one."""
        with self._turn:
            is_news = self._drop(workflow)
            is_news = self._keep(workflow, version, document) or is_news
            self._note_rules()
        if not is_news:
            return
        for tell in self.changed:
            tell(workflow)

    def _note_rules(self) -> None:
        self.ruled = frozenset(name for name, asks in self._asks.items() if asks.get("rules"))

    def _keep(self, workflow: str, version: int, document: str) -> bool:
        """Remember a policy, if it asks anything."""
        if not any(key in document for key in _SPELLED):
            return False
        whole: Document = _sharing(json.loads(document), self._default_budget)
        asks: Document = {key: whole[key] for key in ASKING if whole.get(key)}
        if not asks:
            return False
        self._asks[workflow] = {**asks, "version": version}
        self._whole[workflow] = whole
        self._number ^= _digest(workflow, self._asks[workflow])
        for name, limit in _pools_of(whole):
            self._pools.setdefault(name, {})[workflow] = limit
        for shared in _shared_of(whole):
            self._budgets.setdefault(shared.budget.name, {}).setdefault(workflow, []).append(shared)
        return True

    def _drop(self, workflow: str) -> bool:
        """Forget what it asked; whether it did."""
        if workflow not in self._asks:
            return False
        self._number ^= _digest(workflow, self._asks.pop(workflow))
        whole = self._whole.pop(workflow)
        for name, _ in _pools_of(whole):
            self._pools[name].pop(workflow, None)
        for shared in _shared_of(whole):
            self._budgets[shared.budget.name].pop(workflow, None)
        return True


def _pools_of(policy: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The pools that a policy names, with the limit that it gives; the smallest last, where it names one twice."""
    named = (gate for gate in policy.get("gates") or () if gate["kind"] == "concurrency")
    found = [(gate["scope"], gate["limit"]) for gate in named if gate.get("scope") not in (None, "workflow", "instance")]
    return sorted(found, key=lambda each: -each[1])


def _shared_of(policy: Mapping[str, Any]) -> list[Shared]:
    """The retry budgets that a policy names."""
    of_tasks = [budget_of((entry or {}).get("retry")) for entry in (policy.get("tasks") or {}).values()]
    found = [(budget_of(policy.get("retry")), True), *((each, False) for each in of_tasks)]
    return [Shared(budget, is_of_runs) for budget, is_of_runs in found if budget is not None]


def _sharing(policy: Document, budget: Document | None) -> Document:
    """A policy whose retries all have a budget: where it names none, that one."""
    if budget is None:
        return policy
    parts = [policy, *((policy.get("tasks") or {}).values())]
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("retry"), dict):
            part["retry"].setdefault("budget", budget)
    return policy


def _digest(workflow: str, asks: Mapping[str, Any]) -> int:
    text = json.dumps([workflow, asks])
    return int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest(), "big")
