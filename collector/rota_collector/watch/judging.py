"""What the gates of a policy say to a question, and what is taken when they let it go. Reads facts, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rota.rules import gates, inflight
from rota.rules.durations import seconds
from rota.rules.expression import holds
from rota.rules.gates import DENY, GO, WAIT, Answer, Decision, Gate
from rota.rules.inflight import Rule
from rota.rules.lease import TTL_SECONDS
from rota_collector.domain.admission import Need, Question
from rota_collector.store.facts import STARTS, TRIAL, Gathering, Unshared, upstream_of

CAPACITY = ("concurrency", "rate")  # what one who goes takes from the others
_NS = 10**9
_TTL_NS = round(TTL_SECONDS * _NS)


class Terms(NamedTuple):
    """The gates of a policy as a question meets them."""

    capacity: tuple[Gate, ...]
    others: tuple[Gate, ...]
    priority: int
    upstream: frozenset[str]  # workflows whose ends may change an answer
    longest_seconds: float | None  # after that long some gate is waited for no more
    denying: tuple[Rule, ...] = ()  # rules that may deny the task that asks


NO_TERMS = Terms((), (), 0, frozenset(), None)


def terms(policy: Mapping[str, Any], question: Question) -> Terms:
    """What a policy asks of who asks. The policy's priority comes before the asker's word."""
    if question.task is not None:
        denying = tuple(inflight.denying(inflight.of(policy), question.task))
        return NO_TERMS._replace(priority=policy.get("priority") or question.priority, denying=denying)
    found = gates.of(policy)
    names = {name for gate in found for name in upstream_of(gate)}
    if any(gate.kind == "breaker" for gate in found):
        names.add(question.workflow)
    longest = [gate.wait_at_most_seconds for gate in found if gate.wait_at_most_seconds is not None]
    return Terms(
        tuple(gate for gate in found if gate.kind in CAPACITY),
        tuple(gate for gate in found if gate.kind not in CAPACITY),
        policy.get("priority") or question.priority,
        frozenset(names),
        min(longest, default=None),
    )


def others(facts: Gathering, asked: Terms, question: Question, now_ns: int, waited_seconds: float) -> list[Answer]:
    """What all gates say but those of capacity; of a task, what a rule that denies it says."""
    if question.task is not None:
        return [answer for answer in [_denial(facts, asked, question)] if answer is not None]
    said = [_answer(facts, gate, question, now_ns, waited_seconds) for gate in asked.others]
    return [gates.paused(facts.pause(question)), *said]


def _denial(facts: Gathering, asked: Terms, question: Question) -> Answer | None:
    if not asked.denying:
        return None
    known = facts.of_run(question)
    rule, _ = inflight.first_that_holds(asked.denying, known, holds)
    if rule is None:
        return None
    return Answer(rule.number, inflight.KIND, DENY, rule.reason, {"tasks": inflight.looked_at(rule, known)})


def capacity(facts: Gathering, asked: Terms, question: Question, now_ns: int, waited_seconds: float) -> list[Answer]:
    """What the gates of capacity say, as much is taken now."""
    return [_answer(facts, gate, question, now_ns, waited_seconds) for gate in asked.capacity]


def together(first: Iterable[Answer], second: Iterable[Answer]) -> tuple[Decision, list[Answer]]:
    """What all of them say, and each of them in the order of the policy."""
    answers = sorted([*first, *second], key=lambda each: each.number)
    if answers and answers[0].kind == "pause" and answers[0].answer == GO and len(answers) > 1:
        return gates.together(answers[1:]), answers
    return gates.together(answers), answers


def needs(facts: Gathering, asked: Terms, question: Question, said: Sequence[Answer]) -> list[Need]:
    """What is taken when the answer is go; of each scope once. ``said``: what the other gates said."""
    found: dict[str, Need] = {}
    for gate in asked.capacity:
        need = _need(facts, gate, question)
        before = found.get(need.scope, need)
        found[need.scope] = Need(
            need.scope, min(need.limit, before.limit), max(need.weight, before.weight),
            max(need.lasts_ns, before.lasts_ns), need.is_mark,
        )  # fmt: skip
    return [*found.values(), *_trials(asked, question, said)]


def scope(gate: Gate, question: Question) -> str:
    """The scope in which a gate of capacity counts."""
    named = gates.scope_of(gate, question.workflow, question.host)
    return named if gate.kind == "concurrency" else STARTS + named


def lacking(asked: Terms, question: Question, said: Sequence[Answer]) -> dict[str, Answer]:
    """The scopes whose gates have no room, with what these said."""
    waiting = {each.number: each for each in said if each.answer == WAIT}
    return {scope(gate, question): waiting[gate.number] for gate in asked.capacity if gate.number in waiting}


def is_smallest(asked: Terms, question: Question, of: str) -> bool:
    """Whether nobody needs less of a scope: where this one does not fit, nobody does."""
    weights = [gate.terms.get("weight") or 1 for gate in asked.capacity if scope(gate, question) == of]
    return max(weights, default=1) == 1


def _answer(facts: Gathering, gate: Gate, question: Question, now_ns: int, waited_seconds: float) -> Answer:
    try:
        if gate.kind in gates.ON_HOST:
            return _local(gate, question, waited_seconds)
        return gates.decide(gate, facts.of(gate, question), now_ns, waited_seconds)
    except Unshared as error:
        return Answer(gate.number, gate.kind, DENY, str(error), {})
    except KeyError as error:
        return gates.unreachable(gate, waited_seconds, f"{error} is not known")


def _local(gate: Gate, question: Question, waited_seconds: float) -> Answer:
    """What the host found, which only it can."""
    said = question.local.get(gate.number)
    if said is None:
        return gates.unreachable(gate, waited_seconds, "its host has not told what it found")
    return Answer(gate.number, gate.kind, said["answer"], said["reason"], said["facts"], said.get("look_again_seconds"))


def _need(facts: Gathering, gate: Gate, question: Question) -> Need:
    where = scope(gate, question)
    if gate.kind == "rate":
        return Need(where, gate.terms["limit"], 1, round(seconds(str(gate.terms["per"])) * _NS), is_mark=True)
    return Need(where, facts.limit(gate, where), gate.terms.get("weight") or 1, _TTL_NS)


def _trials(asked: Terms, question: Question, said: Sequence[Answer]) -> list[Need]:
    """One who goes through a breaker that was open tries for all: others wait until it has ended, or for as long again."""
    facts = {each.number: each.facts for each in said if each.kind == "breaker"}
    return [
        Need(TRIAL + question.workflow, 1, 1, round(seconds(str(gate.terms.get("cool_down") or "1h")) * _NS), is_mark=True)
        for gate in asked.others
        if gate.kind == "breaker" and len(facts[gate.number].get("failed_ns", ())) >= gate.terms["failures"]
    ]
