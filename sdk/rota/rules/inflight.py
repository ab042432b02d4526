"""Rules on the run in flight: ``{"when": "task('extract').rows == 0", "do": "deny('load_*')"}``. Pure.

A rule holds once the facts that its ``when`` names are there and say so; what nobody has told yet makes it hold neither way. What
is done then: ``deny`` the tasks that match, while the rule holds; ``cancel`` the run, or ``alert`` people, once a run.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping

    Tasks = Mapping[str, Mapping[str, Any]]

KIND = "rule"  # of its answers, among those of gates
DENY, CANCEL, ALERT = "deny", "cancel", "alert"
MOST = 100  # rules of a policy
_ACTION = re.compile(r"\s*(deny|cancel|alert)\s*(?:\(\s*(.*?)\s*\))?\s*", re.DOTALL)
_TEXTS = re.compile(r"(?:'([^'\\]*)'|\"([^\"\\]*)\")")
_NAMED = re.compile(r"\b(?:task|last)\(\s*(?:'([^']+)'|\"([^\"]+)\")")
_NEEDS = {DENY: (1, 2), CANCEL: (0, 1), ALERT: (0, 1)}  # texts in brackets: at least, at most
_HOW = "write deny('load_*'), cancel() or alert('no rows')"


class Action(NamedTuple):
    """What a rule does. ``pattern``: of the tasks to be denied; ``text``: for people, may be empty."""

    name: str
    pattern: str = ""
    text: str = ""


class Rule(NamedTuple):
    """One rule of a policy; ``number``: its place in the list."""

    number: int
    when: str
    action: Action

    @property
    def reason(self) -> str:
        """Why it did what it did, for people."""
        return "rule %d: %s" % (self.number + 1, self.action.text or self.when)


class Facts(NamedTuple):
    """What is known of a run. ``tasks``: by name, in the order of their last ends, as of ``task_facts``; ``run``: of itself;
    ``last``: the tasks of the workflow's last run that succeeded.
    """

    tasks: Tasks
    run: Mapping[str, Any]
    last: Tasks

    @classmethod
    def of(cls, workflow: str, host: str | None, attempt: int, tasks: Tasks, last: Tasks | None = None) -> Facts:
        """The facts of a run and of its tasks."""
        failures = sum(task.get("failures") or 0 for task in tasks.values())
        return cls(tasks, {"workflow": workflow, "host": host, "attempt": attempt, "failures": failures}, last or {})


def task_facts(before: Mapping[str, Any] | None, told: Mapping[str, Any], state: str, seconds: float) -> dict[str, Any]:
    """What is known of a task after one more call ended: what that told, and how often it was called and failed."""
    before = before or {}
    return {
        **told, "state": state, "duration_seconds": seconds, "calls": (before.get("calls") or 0) + 1,
        "failures": (before.get("failures") or 0) + (state == "failed"),
    }  # fmt: skip


def action(text: str) -> Action:
    """What a ``do`` says. Raises ValueError."""
    found = _ACTION.fullmatch(text)
    if found is None:
        raise ValueError("%r is no action: %s" % (text, _HOW))
    name, given = found[1], found[2] or ""
    texts = [single or double for single, double in _TEXTS.findall(given)]
    least, most = _NEEDS[name]
    if not least <= len(texts) <= most or _TEXTS.sub("", given).replace(" ", "") != "," * max(0, len(texts) - 1):
        raise ValueError("%r does not say what to %s: %s" % (text, name, _HOW))
    if name == DENY:
        return Action(name, *texts)
    return Action(name, text="".join(texts))


def of(policy: Mapping[str, Any]) -> list[Rule]:
    """The rules of a document, in its order. One that is not understood, as a later version may have it, is left out: the rest of
    the policy holds.
    """
    found = []
    for number, rule in enumerate(policy.get("rules") or ()):
        try:
            found.append(Rule(number, str(rule["when"]), action(rule["do"])))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def denied(policy: Mapping[str, Any]) -> list[str]:
    """The patterns of tasks that some rule may deny: these ask before they run."""
    return list(dict.fromkeys(rule.action.pattern for rule in of(policy) if rule.action.name == DENY))


def named(policy: Mapping[str, Any]) -> list[str]:
    """The tasks, by name or pattern, whose facts the rules look at."""
    return list(dict.fromkeys(name for rule in of(policy) for name in _named(rule.when)))


def looked_at(rule: Rule, facts: Facts) -> dict[str, Mapping[str, Any]]:
    """The facts that a rule looks at."""
    patterns = _named(rule.when)
    return {name: task for name, task in facts.tasks.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


def _named(when: str) -> list[str]:
    return [single or double for single, double in _NAMED.findall(when)]


def denying(rules: Iterable[Rule], task: str) -> list[Rule]:
    """Those that may deny a task."""
    return [rule for rule in rules if rule.action.name == DENY and fnmatchcase(task, rule.action.pattern)]


def first_that_holds(rules: Iterable[Rule], facts: Facts, holds: Callable[[str, Facts], bool | None]) -> tuple[Rule | None, bool]:
    """(the first rule that holds, whether all are decided: where none holds, one whose facts are not known may hold elsewhere).

    ``holds``: as of ``rota.rules.expression``.
    """
    is_sure = True
    for rule in rules:
        found = holds(rule.when, facts)
        if found:
            return rule, True
        is_sure = is_sure and found is not None
    return None, is_sure
