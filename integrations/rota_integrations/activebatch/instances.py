"""What ActiveBatch tells of an instance of a job or a plan: where it belongs, since when it is so, how often it was tried."""

from __future__ import annotations

import calendar
import re
import time
from typing import Any, Iterable, Mapping, NamedTuple

from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.states import State, Table

_BEFORE_TIME = "0001-"  # how .NET writes a time that there is not
_TELLING = ("waiting", "notrunscheduled")  # states whose detail is the one that tells
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z?")


class Instance(NamedTuple):
    """One of a plan or a job, as it is now. Times are Unix times in ns, or None."""

    number: int
    batch: int
    path: str
    is_plan: bool
    word: str
    is_over: bool
    created_ns: int | None
    begun_ns: int | None
    ended_ns: int | None
    restarted_ns: int | None
    restarts: int
    exit_code: int
    exit_text: str
    queue: str

    @property
    def name(self) -> str:
        """Of its job or plan."""
        return self.path.rpartition("/")[2]

    @property
    def now_word(self) -> str:
        """Changes whenever there is something to tell."""
        return "%s/%d" % (self.word, self.restarts)

    def state(self, states: Table) -> State:
        """Ours."""
        return states.of_task(self.word, self.is_over)

    def since_ns(self, state: State, now_ns: int, *, is_known: bool) -> int:
        """Since when it is in that state: what ActiveBatch does not date was found now."""
        if state.name in TERMINAL:
            return self.ended_ns or self.begun_ns or now_ns
        if state.name == "running" and self.begun_ns is not None:
            return self.begun_ns
        return now_ns if is_known or self.created_ns is None else self.created_ns

    @property
    def error(self) -> dict[str, str] | None:
        """Its exit status, where that is not 0."""
        if not self.exit_code:
            return None
        kind = "exit:%d" % self.exit_code
        return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: self.exit_text}


def read(found: Mapping[str, Any]) -> Instance:
    """One of the list of instances. Raises KeyError and ValueError for what is none."""
    word, detail = str(found["state"]), str(found.get("stateDetail") or "")
    ended_ns = unix_ns(found["endExecutionTime"])
    return Instance(
        number=int(found["key"]["id"]), batch=int(found.get("batchId") or 0), path=str(found["key"]["path"]).strip("/"),
        is_plan=found["key"].get("type") == "plan", word=detail if detail.lower().startswith(_TELLING) else word,
        is_over=ended_ns is not None, created_ns=unix_ns(found["creationTime"]), begun_ns=unix_ns(found["beginExecutionTime"]),
        ended_ns=ended_ns, restarted_ns=unix_ns(found.get("restartTime") or _BEFORE_TIME),
        restarts=int(found.get("restartCount") or 0), exit_code=int(found.get("exitCode") or 0),
        exit_text=str(found.get("exitCodeDescription") or ""), queue=str(found.get("queueName") or ""),
    )  # fmt: skip


def plan_of(instance: Instance, all_of_them: Iterable[Instance]) -> Instance | None:
    """The outermost plan whose run it is part of: triggered with it, and above it in the tree of objects."""
    around = [
        each
        for each in all_of_them
        if each.is_plan and each.batch == instance.batch != 0 and instance.path.startswith(each.path + "/")
    ]
    return min(around, key=lambda each: len(each.path), default=None)


def unix_ns(text: str) -> int | None:
    """Of a time in UTC, which is written without a zone; None for one before all times. Raises ValueError."""
    if text.startswith(_BEFORE_TIME):
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("%r is no time of ActiveBatch's" % text)
    whole = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
    return whole * 10**9 + int((found[2] or "").ljust(9, "0")[:9])
