"""Gates: conditions for permission to run. Pure: what the policy asks, the facts and the time come in, an answer goes out.

The answer to a gate is ``go``, ``wait``, ``skip`` or ``deny``; that of all gates together is the strictest. Which facts a gate
rests on is told at the function that decides it; a fact that nobody could find out is missing, and then ``unreachable`` decides.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.rules import values
from rota.rules.durations import seconds, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Sequence

GO, WAIT, SKIP, DENY = "go", "wait", "skip", "deny"
STRICTNESS = {GO: 0, WAIT: 1, SKIP: 2, DENY: 3}
ON_HOST = ("probe", "host", "python")  # looked at where the job runs, before anybody is asked
PAUSE = -1  # the number of the gate that every gated workflow has: that nobody paused it
_SECOND = 10**9
_AGAIN_SECONDS = 30.0  # until something that tells nobody when it changes is looked at again


class Gate(NamedTuple):
    """One gate of a policy. ``number``: its place in the list; ``terms``: as the document has them, without null."""

    number: int
    kind: str
    terms: Mapping[str, Any]

    @property
    def wait_at_most_seconds(self) -> float | None:
        """How long to wait for it; None: for ever."""
        return _seconds(self.terms, "wait_at_most")

    @property
    def otherwise(self) -> str:
        """What becomes of a run that will not wait longer."""
        return str(self.terms.get("otherwise") or DENY)


class Answer(NamedTuple):
    """What a gate says, why, and the facts that it says it of. ``look_again_seconds``: when the answer may change by itself."""

    number: int
    kind: str
    answer: str
    reason: str
    facts: Mapping[str, Any]
    look_again_seconds: float | None = None


class Decision(NamedTuple):
    """What all gates say together; ``number`` and ``kind`` are of the gate that decided, None where all say go."""

    answer: str
    reason: str
    number: int | None = None
    kind: str | None = None
    look_again_seconds: float | None = None


def of(policy: Mapping[str, Any]) -> list[Gate]:
    """The gates of a valid document, in its order."""
    return [
        Gate(number, gate["kind"], {key: value for key, value in gate.items() if value is not None})
        for number, gate in enumerate(policy.get("gates") or ())
    ]


def decide(gate: Gate, facts: Mapping[str, Any], now_ns: int, waited_seconds: float = 0.0) -> Answer:
    """The gate's answer at ``now_ns`` (Unix time) to who has waited so long already. Raises KeyError without a fact it needs."""
    answer, reason, again_seconds = _DECIDE[gate.kind](gate, facts, now_ns)
    return _in_time(gate, Answer(gate.number, gate.kind, answer, reason, facts, again_seconds), waited_seconds)


def unreachable(gate: Gate, waited_seconds: float, why: str) -> Answer:
    """The gate's answer when nobody can tell its facts: its ``on_unreachable``, ``go`` when it has none."""
    return _in_time(gate, Answer(gate.number, gate.kind, *on_unreachable(gate.terms, waited_seconds, why)), waited_seconds)


def on_unreachable(terms: Mapping[str, Any], waited_seconds: float, why: str) -> tuple[str, str, Mapping[str, Any], float | None]:
    """(answer, reason, facts, when to look again) of a gate, or of the pattern of a task, when nobody answers."""
    said = str(terms.get("on_unreachable") or GO)
    facts = {"unreachable": why}
    found = values.UNREACHABLE.fullmatch(said)
    if found is None or not found[1]:
        return said, "nobody answers (%s): on_unreachable says %s" % (why, said), facts, None
    left_seconds = seconds(found[1]) - waited_seconds
    if left_seconds > 0:
        return WAIT, "nobody answers (%s): it waits for another %s" % (why, words(left_seconds)), facts, min(left_seconds, 5.0)
    otherwise = str(terms.get("otherwise") or DENY)
    return otherwise, "nobody answered for %s (%s)" % (words(waited_seconds), why), facts, None


def paused(facts: Mapping[str, Any]) -> Answer:
    """The gate that needs no policy. ``{"is_paused": bool, "reason": str}``: a run of a paused workflow is skipped."""
    if facts["is_paused"]:
        return Answer(PAUSE, "pause", SKIP, "the workflow is paused: %s" % (facts.get("reason") or "no reason given"), facts)
    return Answer(PAUSE, "pause", GO, "the workflow is not paused", facts)


def together(answers: Sequence[Answer]) -> Decision:
    """The strictest of them; of several the first. What waits is looked at again as soon as any of it may change."""
    if not answers or all(each.answer == GO for each in answers):
        return Decision(
            GO, "all %d gates say go" % len(answers) if len(answers) > 1 else (answers[0].reason if answers else "no gate")
        )
    strictest = max(answers, key=lambda each: STRICTNESS[each.answer])
    again = [each.look_again_seconds for each in answers if each.answer == WAIT and each.look_again_seconds is not None]
    soonest = min(again) if again and strictest.answer == WAIT else None
    return Decision(strictest.answer, strictest.reason, strictest.number, strictest.kind, soonest)


def _in_time(gate: Gate, answer: Answer, waited_seconds: float) -> Answer:
    """A gate that is waited for no longer says ``otherwise``."""
    most_seconds = gate.wait_at_most_seconds
    if answer.answer != WAIT or most_seconds is None:
        return answer
    if waited_seconds >= most_seconds:
        reason = "waited %s, as long as it may: %s" % (words(waited_seconds), answer.reason)
        return answer._replace(answer=gate.otherwise, reason=reason, look_again_seconds=None)
    left = most_seconds - waited_seconds
    return answer._replace(look_again_seconds=min(left, answer.look_again_seconds or left))


# -- one kind after the other: (answer, reason, when to look again) -----------------------------------------------------------

if TYPE_CHECKING:
    _Said = tuple[str, str, float | None]


def _concurrency(gate: Gate, facts: Mapping[str, Any], _now_ns: int) -> _Said:
    """``{"used": weight of the live grants, "limit": of the scope, "frees_seconds": until the next grant expires, or None}``."""
    limit, weight = facts.get("limit") or gate.terms["limit"], gate.terms.get("weight") or 1
    if weight > limit:
        return DENY, "its weight %d is more than the limit %d of %s" % (weight, limit, _scope(gate)), None
    said = "%d of %d in use in %s" % (facts["used"], limit, _scope(gate))
    return (GO, said, None) if facts["used"] + weight <= limit else (WAIT, said, facts.get("frees_seconds"))


def _rate(gate: Gate, facts: Mapping[str, Any], now_ns: int) -> _Said:
    """``{"started_ns": the latest starts in the scope, newest first, at least ``limit`` of them where there are}``."""
    limit, per_ns = gate.terms["limit"], round(seconds(str(gate.terms["per"])) * _SECOND)
    recent = sorted((at for at in facts["started_ns"] if at > now_ns - per_ns), reverse=True)
    said = "%d of %d started within %s in %s" % (len(recent), limit, words(per_ns / _SECOND), _scope(gate))
    if len(recent) < limit:
        return GO, said, None
    return WAIT, said, max(0.0, (recent[limit - 1] + per_ns - now_ns) / _SECOND)


def _upstream(gate: Gate, facts: Mapping[str, Any], now_ns: int) -> _Said:
    """``{"runs": {workflow: {"state", "ended_ns", "slot_ns"} of its last run that ended, or null}, "slot_ns": of this run}``."""
    wanted, within = gate.terms.get("state") or "succeeded", _seconds(gate.terms, "fresh_within")
    again: list[float] = []
    for workflow in [gate.terms["workflow"]] if gate.terms.get("workflow") else gate.terms["all_of"]:
        run = facts["runs"].get(workflow)
        if run is None:
            return WAIT, "%s has not ended once" % workflow, _AGAIN_SECONDS
        if not _is_as(wanted, run["state"]):
            return WAIT, "the last run of %s %s" % (workflow, run["state"]), _AGAIN_SECONDS
        if gate.terms.get("join") == "slot" and run.get("slot_ns") != facts.get("slot_ns"):
            return WAIT, "%s has no such run for the same slot yet" % workflow, _AGAIN_SECONDS
        age_seconds = (now_ns - run["ended_ns"]) / _SECOND
        if within is not None and age_seconds > within:
            return WAIT, "%s ended %s ago; it must be within %s" % (workflow, words(age_seconds), words(within)), _AGAIN_SECONDS
        again.append(age_seconds)
    return GO, "upstream is as it must be; the oldest ended %s ago" % words(max(again)), None


def _window(gate: Gate, facts: Mapping[str, Any], _now_ns: int) -> _Said:
    """``{"local": local time in the gate's zone, as ISO 8601 without an offset}``."""
    from datetime import datetime

    from rota.rules import windows

    only, never = ([windows.parse(text) for text in _texts(gate.terms.get(key))] for key in ("only", "not"))
    local = datetime.fromisoformat(facts["local"][:19])
    opens = windows.next_allowed(only, never, local)
    if opens == local:
        return GO, "%s is in the window" % facts["local"][:16], None
    if opens is None:
        return gate.otherwise, "its window does not open within 400 days", None
    return WAIT, "its window opens at %s" % opens.strftime("%Y-%m-%d %H:%M"), (opens - local).total_seconds()


def _breaker(gate: Gate, facts: Mapping[str, Any], now_ns: int) -> _Said:
    """``{"failed_ns": ends of the known failures in a row, newest first, "trial": id of the run that tries, or null, "run_id"}``.

    Closed, open and half-open as in Nygard, Release It!: after the cool-down one run tries; it closes the breaker by its success.
    """
    within, cool_down = _seconds(gate.terms, "within"), _seconds(gate.terms, "cool_down") or 3600.0
    failed = [at for at in facts["failed_ns"] if within is None or now_ns - at <= within * _SECOND]
    if len(failed) < gate.terms["failures"]:
        return GO, "%d of %d failures in a row" % (len(failed), gate.terms["failures"]), None
    left_seconds = cool_down - (now_ns - failed[0]) / _SECOND
    said = "%d failure%s in a row" % (len(failed), "s" * (len(failed) > 1))
    answer = WAIT if gate.terms.get("wait_at_most") else gate.otherwise
    if left_seconds > 0:
        return answer, "%s: the breaker is open for another %s" % (said, words(left_seconds)), left_seconds
    if facts.get("trial") not in (None, facts.get("run_id")):
        return answer, "%s: run %s tries whether it works again" % (said, facts["trial"]), _AGAIN_SECONDS
    return GO, "%s, and %s have passed: this run tries" % (said, words(cool_down)), None


def _approval(gate: Gate, facts: Mapping[str, Any], now_ns: int) -> _Said:
    """``{"state": "asked", "approved" or "refused", "asked_ns", "by", "comment"}``."""
    said = "%s%s" % (facts.get("by") or "somebody", ": " + facts["comment"] if facts.get("comment") else "")
    if facts["state"] == "approved":
        return GO, "approved by " + said, None
    if facts["state"] == "refused":
        return DENY, "refused by " + said, None
    within = _seconds(gate.terms, "within")
    if within is None:
        return WAIT, "nobody has approved it yet", None
    left_seconds = within - (now_ns - facts["asked_ns"]) / _SECOND
    if left_seconds > 0:
        return WAIT, "nobody has approved it yet; there are %s left" % words(left_seconds), left_seconds
    return gate.otherwise, "nobody approved it within %s" % words(within), None


def _probe(_gate: Gate, facts: Mapping[str, Any], _now_ns: int) -> _Said:
    """``{"is_well": bool, "said": what was found, for people}``."""
    return (GO, facts["said"], None) if facts["is_well"] else (WAIT, facts["said"], _AGAIN_SECONDS)


def _host(gate: Gate, facts: Mapping[str, Any], _now_ns: int) -> _Said:
    """``{"disk_free_bytes", "memory_free_bytes", "load": of the last minute, a core}``, those that the gate asks for."""
    for key, name in (("disk_free", "disk_free_bytes"), ("memory_free", "memory_free_bytes")):
        if gate.terms.get(key) and facts[name] < values.size_bytes(gate.terms[key]):
            return WAIT, "%s is %d MB; it must be %s" % (key, facts[name] // 10**6, gate.terms[key]), _AGAIN_SECONDS
    if gate.terms.get("load_below") and facts["load"] >= gate.terms["load_below"]:
        return WAIT, "the load a core is %.2f; it must be below %g" % (facts["load"], gate.terms["load_below"]), _AGAIN_SECONDS
    return GO, "the host has room", None


def _python(gate: Gate, facts: Mapping[str, Any], _now_ns: int) -> _Said:
    """``{"returned": true, false, or a text that says why not}``."""
    if facts["returned"] is True:
        return GO, "%s says yes" % gate.terms["call"], None
    said = facts["returned"] if isinstance(facts["returned"], str) else "no"
    return WAIT, "%s says %s" % (gate.terms["call"], said), _AGAIN_SECONDS


_DECIDE: dict[str, Callable[[Gate, Mapping[str, Any], int], _Said]] = {
    "concurrency": _concurrency, "rate": _rate, "upstream": _upstream, "window": _window, "breaker": _breaker,
    "approval": _approval, "probe": _probe, "host": _host, "python": _python,
}  # fmt: skip


def scope_of(gate: Gate, workflow: str, host: str | None) -> str:
    """The key that grants and starts of a gate are counted under: of the workflow, of it on one host, or of a named pool."""
    scope = gate.terms.get("scope") or "workflow"
    if scope == "instance":
        return "instance %s@%s" % (workflow, host or "")
    return "workflow " + workflow if scope == "workflow" else "pool " + scope


def _scope(gate: Gate) -> str:
    scope = gate.terms.get("scope") or "workflow"
    return {"workflow": "the workflow", "instance": "the instance"}.get(scope, "pool %s" % scope)


def _is_as(wanted: str, state: str) -> bool:
    return wanted in ("any", state) or (wanted == "ended" and state != "running")


def _seconds(terms: Mapping[str, Any], key: str) -> float | None:
    return None if terms.get(key) is None else seconds(str(terms[key]))


def _texts(given: Any) -> Sequence[str]:
    return [given] if isinstance(given, str) else given or ()
