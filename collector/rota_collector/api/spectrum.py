"""Where all workflows stand on the way from observe to orchestrate, and what would help each of them.

Advice for everybody rests on tens of thousands of runs, so it is worked out once in ten minutes, by whoever asks first then; the
others are told what was known. A policy that is another one since is looked at anew at once, as long as those are few.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota.rules import tasks
from rota.rules.level import level
from rota_collector.api import advice, shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores
from rota_collector.domain.advise import Advice, advise, upstreams
from rota_collector.domain.fleet import Fleet
from rota_collector.store import past
from rota_collector.store.control_queries import RunFilter

_KEPT_NS = 600 * 10**9
_MOST_RUNS = 100_000  # that advice for everybody rests on
_MOST_ANEW = 5  # workflows whose policy changed that are looked at anew while somebody waits
_MOST_COVERED, _COVERED_RUNS, _COVERED_NS = 100, 5, 14 * 86_400 * 10**9
_RAN_KEPT_NS = 60 * 10**9


class Help(BaseModel):
    """What would have helped, without the runs that tell it."""

    level: Literal["expect", "retry", "gate", "orchestrate"]
    kind: str = Field(description="retry, or the kind of the gate")
    saved: int = Field(description="so many runs would not have failed, or not have been in vain")
    of: int = Field(description="so many failed in all")
    reason: str


class Coverage(BaseModel):
    """How many of the functions that really ran ask for permission."""

    asking: int
    functions: int = Field(description="by name, in the last runs")


class Standing(BaseModel):
    """A workflow of which there is something to say."""

    workflow: str
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"]
    runs: int = Field(description="that were looked at")
    failed: int | None = Field(description="so many of them; null: it failed, and was not looked at, as others failed more often")
    items: list[Help] = Field(description="that which saves most first")
    coverage: Coverage | None = Field(description="null: no task of it asks, or none ran lately")


class Spectrum(BaseModel):
    """Every workflow that failed lately, or whose tasks ask."""

    items: list[Standing]
    next: None = None
    since_at: AwareDatetime
    at: AwareDatetime = Field(description="when this was worked out")


class _Told(NamedTuple):
    """What is known of one workflow, by the policy (as text) that it was worked out for."""

    policy: str
    runs: int
    failed: int | None
    found: list[Advice]


class _Known:
    """The advice for everybody, as of a time."""

    def __init__(self, stores: Stores) -> None:
        self._stores, self._turn = stores, threading.Lock()
        self.at_ns, self._told = 0, dict[str, _Told]()

    def told(self) -> dict[str, _Told]:
        """By workflow. Whoever comes while another one works it out is told what was known; only the first ever has to wait."""
        if self._stores.clock.now_ns() - self.at_ns > _KEPT_NS and self._turn.acquire(blocking=not self.at_ns):
            try:
                if self._stores.clock.now_ns() - self.at_ns > _KEPT_NS:
                    self._told, self.at_ns = self._work_out(), self._stores.clock.now_ns()
            finally:
                self._turn.release()
        self._told = {**self._told, **dict(self._anew())}
        return self._told

    def _work_out(self) -> dict[str, _Told]:
        since_ns = self._stores.clock.now_ns() - advice.LOOK_BACK_NS
        policies = self._stores.expectations.policies.known
        with self._stores.control.engine.begin() as connection:
            failing = past.of_failing(connection, since_ns, _MOST_RUNS)
            named = {name for each in failing if each in policies for name in upstreams(json.loads(policies[each].document))}
            others = list(past.of_each(connection, named - failing.keys(), since_ns))
        fleet = Fleet([*(run for runs in failing.values() for run in runs or ()), *others])
        unseen = {name: _Told(self._policy(name), 0, None, []) for name, runs in failing.items() if runs is None}
        return unseen | {name: self._of(name, fleet) for name in failing.keys() - unseen.keys()}

    def _anew(self) -> Iterator[tuple[str, _Told]]:
        """Those whose policy is another one since."""
        changed = [name for name, told in self._told.items() if told.policy != self._policy(name)]
        for name in changed[:_MOST_ANEW]:
            document = json.loads(self._policy(name))
            yield name, self._of(name, advice.fleet(self._stores, name, document, self._stores.clock.now_ns()))

    def _of(self, name: str, fleet: Fleet) -> _Told:
        policy, runs = self._policy(name), fleet.of(name)
        failed = sum(run.failure is not None for run in runs)
        return _Told(policy, len(runs), failed, advise(name, fleet, json.loads(policy)))

    def _policy(self, name: str) -> str:
        known = self._stores.expectations.policies.known.get(name)
        return known.document if known else "{}"


class _Functions:
    """The names of the functions that ran lately, of workflows whose tasks ask; for a minute what was read once."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._at_ns, self._ran = 0, dict[str, set[str]]()

    def ran(self, names: Iterable[str]) -> dict[str, set[str]]:
        """By workflow, of so many of them, those first by name."""
        wanted, now_ns = sorted(names)[:_MOST_COVERED], self._stores.clock.now_ns()
        if now_ns - self._at_ns > _RAN_KEPT_NS or not self._ran.keys() >= set(wanted):
            self._ran, self._at_ns = self._read(wanted, now_ns - _COVERED_NS), now_ns
        return self._ran

    def _read(self, names: Iterable[str], since_ns: int) -> dict[str, set[str]]:
        runs = self._stores.control.runs
        of_run = {
            run.run_id: name for name in names for run in runs(RunFilter(name, since_ns=since_ns), limit=_COVERED_RUNS).items
        }
        found: dict[str, set[str]] = {name: set() for name in names}
        for run_id, task in self._stores.telemetry.run_functions(list(of_run), since_ns):
            found[of_run[run_id]].add(task)
        return found


def router(stores: Stores) -> APIRouter:
    """``/api/v1/advice``."""
    router = APIRouter(prefix="/api/v1", tags=["policies"])
    known, functions = _Known(stores), _Functions(stores)

    @router.get("/advice", response_model=Spectrum)
    def list_advice(reads: Reads) -> Response:
        """What each level would have changed for every workflow that failed lately, and which part of the functions asks.

        As of some minutes ago at most; `/api/v1/advice/{name}` has the runs that tell it, and the documents to store.
        """
        told = {name: each for name, each in known.told().items() if reads.allows(name)}
        asking = _asking(stores)
        ran = {name: found for name, found in functions.ran(asking).items() if found and name in asking and reads.allows(name)}
        covered = {name: {"asking": _count(asking[name], found), "functions": len(found)} for name, found in ran.items()}
        items = [_standing(stores, name, told.get(name), covered.get(name)) for name in sorted({*told, *covered})]
        since_ns = known.at_ns - advice.LOOK_BACK_NS
        return answer({"items": items, "next": None, "since_at": shape.iso(since_ns), "at": shape.iso(known.at_ns)})

    return router


def _standing(stores: Stores, name: str, told: _Told | None, coverage: dict[str, int] | None) -> dict[str, Any]:
    policy = stores.expectations.policies.known.get(name)
    return {
        "workflow": name,
        "level": level(json.loads(policy.document)) if policy else "observe",
        "runs": told.runs if told else 0,
        "failed": told.failed if told else 0,
        "items": [
            {"level": each.level, "kind": each.kind, "saved": len(each.saved), "of": each.of, "reason": each.reason}
            for each in (told.found if told else ())
        ],
        "coverage": coverage,
    }


def _asking(stores: Stores) -> dict[str, Mapping[str, Any]]:
    """By workflow, the tasks of policies that let any of them ask."""
    documents = stores.expectations.policies.asking.documents()
    found = {name: document.get("tasks") or {} for name, document in documents.items()}
    return {name: given for name, given in found.items() if any((terms or {}).get("permit") for terms in given.values())}


def _count(entries: Mapping[str, Any], functions: Iterable[str]) -> int:
    return sum(tasks.Terms.of(tasks.entry_of(entries, each) or {}).permit for each in functions)
