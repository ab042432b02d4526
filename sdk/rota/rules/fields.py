"""What may stand in a policy document: every key, what its value must be, and what it says.

``FIELDS`` is the one description: the validator, the JSON Schema and the reference page follow from it. In a path ``[]`` is each
of a list, ``*`` each of a mapping whose keys are the user's own.
"""

from __future__ import annotations

from typing import NamedTuple

LATER = ("params", "trigger", "execute", "expect.rows", "expect.duration_band", "tasks.*.cache")
_UNSTOPPABLE = "a function cannot be stopped from outside, a command can: see retry.attempt_timeout"
NEVER = {"tasks.*.retry.attempt_timeout": _UNSTOPPABLE, "tasks.*.timeout": _UNSTOPPABLE}  # and why it is not kept
KINDS = ("script", "service", "external", "manual")
WHEN = ("cron", "every", "on_calendar", "after")  # a schedule has one of them
UPSTREAM_STATES = ("succeeded", "failed", "ended", "any")


class Field(NamedTuple):
    """One key of the document: its path, what its value must be, and what it says."""

    path: str
    kind: str  # one of values.CHECKS; mapping, named (a mapping by the user's own keys), list; or the allowed words joined by |
    help: str


class Keys(NamedTuple):
    """Keys of one kind of gate, beside those that every gate may have."""

    needed: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()  # exactly one
    some_of: tuple[str, ...] = ()  # at least one
    others: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every key that it may have."""
        return self.needed + self.one_of + self.some_of + self.others


EVERY_GATE = ("kind", "on_unreachable", "wait_at_most", "otherwise")
GATE_KEYS = {
    "concurrency": Keys(("limit",), others=("scope", "weight")),
    "rate": Keys(("limit", "per"), others=("scope",)),
    "upstream": Keys(one_of=("workflow", "all_of"), others=("state", "fresh_within", "join")),
    "window": Keys(some_of=("only", "not"), others=("tz",)),
    "breaker": Keys(("failures",), others=("within", "cool_down", "on")),
    "probe": Keys(one_of=("http", "file", "sql", "command"), others=("expect", "timeout", "database", "fresh_within")),
    "approval": Keys(others=("role", "within")),
    "host": Keys(some_of=("disk_free", "memory_free", "load_below"), others=("path",)),
    "python": Keys(("call",), others=("timeout",)),
}


def _of_commands(path: str) -> tuple[Field, ...]:
    """What can be promised of a process alone."""
    return (Field(path + ".attempt_timeout", "length", "How long one attempt may take."),) if path == "retry" else ()


def _retry(path: str, whom: str) -> tuple[Field, ...]:
    return (
        Field(path, "mapping", whom + " that fails is tried again."),
        Field(path + ".attempts", "count", "How often it is tried in all; 3 when left out."),
        Field(path + ".wait", "duration", "How long to wait before the second attempt; `30s` when left out."),
        Field(path + ".backoff", "factor", "Each wait is so many times the one before; 1 when left out."),
        Field(path + ".jitter", "fraction", "Up to this part of each wait is left out at random; 0 when left out."),
        Field(path + ".max_wait", "length", "The longest wait."),
        Field(
            path + ".on", "failures",
            "Only these failures: exceptions by name, `exit:75`, `exit:1-9`, `signal:KILL`, `timeout`, `message:REGEX`.",
        ),
        Field(path + ".not_on", "failures", "Not these failures."),
        *_of_commands(path),
        Field(path + ".timeout", "length", "How long all attempts may take together, with the waits."),
        Field(path + ".budget", "mapping", "Retries that are shared with others: when none are left, it fails."),
        Field(path + ".budget.name", "text", "Who names the same shares it; `default` when left out."),
        Field(path + ".budget.percent", "percent", "So many retries beside 100 first attempts; 20 when left out."),
        Field(path + ".budget.least", "least", "So many in any case; 10 when left out."),
        Field(path + ".budget.within", "length", "The time over which both are counted; `10m` when left out."),
    )  # fmt: skip


_OF_WHOLE = (
    Field("workflow", "text", "The workflow that the document is of."),
    Field("kind", "|".join(KINDS), "What the workflow is."),
    Field("per", "workflow|host", "`host`: each host is an instance with slots of its own."),
    Field("schedule", "mapping", "When it should run: one of cron, every, on_calendar, after."),
    Field("schedule.cron", "text", "Five fields, or an @ form: `0 2 * * *`, `@daily`."),
    Field("schedule.every", "length", "An interval, counted from the last start."),
    Field("schedule.on_calendar", "texts", "systemd calendar events, one or several."),
    Field("schedule.after", "mapping", "Another workflow's success makes a slot."),
    Field("schedule.after.workflow", "text", "That workflow."),
    Field("schedule.after.within", "length", "How long after it this one may start; `1h` when left out."),
    Field("schedule.tz", "text", "The time zone by name; UTC when left out."),
    Field("schedule.grace", "duration", "How late a run may start. Left out: a tenth of the gap, at least 1m, at most 15m."),
    Field("schedule.early", "duration", "How early a run may start and still fill the slot; the grace when left out."),
    Field("expect", "mapping", "What a run must keep."),
    Field("expect.max_duration", "length", "The longest a run may take."),
    Field("expect.min_duration", "duration", "The shortest a successful run may take."),
    Field("expect.failures", "count or false", "So many failed runs in a row open an incident; 1 when left out, false: none do."),
    Field("expect.successes", "count", "So many successful runs in a row close an incident; 1 when left out."),
    Field("expect.silence", "length", "How long an open run may give no sign of life."),
    Field(
        "expect.upstream", "texts", "Workflows that this one needs: while one of them has an incident, this one's are suppressed."
    ),
    Field("alert", "mapping", "How people are told."),
    Field("alert.channels", "texts", "The channels; all of them when left out, an empty list: nobody is told."),
    Field("alert.remind", "length", "How often people are reminded of an open incident; never when left out."),
    Field("alert.escalate", "list", "Who is told when nobody acknowledges: a list of {after, to}."),
    Field("alert.escalate[].after", "duration", "How long after the incident was opened."),
    Field("alert.escalate[].to", "text", "The channel."),
    Field("share", "mapping", "What others may do with this workflow: keys for workflows that match these patterns."),
    Field("share.read", "texts", "Who may read its runs and all that is known of it."),
    Field("share.gate", "texts", "Who may wait for it: name it in `schedule.after` and `expect.upstream`."),
    Field("share.trigger", "texts", "Who may start it."),
    Field("priority", "whole", "Who waits with a higher one comes first: 0 to 100; 0 when left out."),
)
_OF_GATES = (
    Field("gates", "list", "Conditions for permission to run; all must say so."),
    Field("gates[].kind", "|".join(GATE_KEYS), "What it looks at."),
    Field(
        "gates[].on_unreachable", "unreachable", "What it says when nobody answers: go (when left out), skip, deny, wait(30m)."
    ),
    Field("gates[].wait_at_most", "length", "How long to wait for it; for ever when left out."),
    Field("gates[].otherwise", "skip|deny", "What becomes of the run then, and when it cannot pass today; deny when left out."),
    Field("gates[].limit", "count", "concurrency, rate: how many at once, or in a stretch of time."),
    Field(
        "gates[].scope",
        "text",
        "concurrency, rate: `workflow` (when left out), `instance`, or the name of a pool that several share.",
    ),
    Field("gates[].weight", "count", "concurrency: how much of the limit one run takes; 1 when left out."),
    Field("gates[].per", "length", "rate: the stretch of time."),
    Field("gates[].workflow", "text", "upstream: that workflow."),
    Field("gates[].all_of", "texts", "upstream: all these workflows."),
    Field("gates[].state", "|".join(UPSTREAM_STATES), "upstream: how its last run must have ended; succeeded when left out."),
    Field("gates[].fresh_within", "length", "upstream: at most so long ago. probe of a file: changed at most so long ago."),
    Field("gates[].join", "slot|latest", "upstream: `slot`: of the same slot; `latest` when left out."),
    Field(
        "gates[].only", "windows", "window: only then: `Mon..Fri`, `08:00-18:00`, `Sat 22:00-06:00`, `2026-12-24..2026-12-26`."
    ),
    Field("gates[].not", "windows", "window: not then."),
    Field("gates[].tz", "text", "window: the time zone by name; the schedule's, else UTC, when left out."),
    Field("gates[].failures", "count", "breaker: so many failed runs in a row open it."),
    Field("gates[].within", "length", "breaker: that ended at most so long ago. approval: how long to wait for one."),
    Field("gates[].cool_down", "length", "breaker: how long it stays open before one run may try; `1h` when left out."),
    Field("gates[].on", "failures", "breaker: only failures whose error matches one of these names or `message:REGEX`."),
    Field("gates[].role", "operate|admin", "approval: what a key must be allowed; operate when left out."),
    Field("gates[].http", "text", "probe: an address that is asked with GET."),
    Field("gates[].file", "text", "probe: a file that must be there."),
    Field("gates[].sql", "text", "probe: a SELECT whose first value must be as expected, or true."),
    Field("gates[].database", "text", "probe: the file that `sql` is asked of, SQLite or DuckDB."),
    Field("gates[].command", "text", "probe: the name of a command that the host has in `$ROTA_HOME/commands.json`."),
    Field("gates[].expect", "expected", "probe: the status, the value, the exit code; success when left out."),
    Field("gates[].timeout", "length", "probe, python: how long an answer may take; `10s` when left out."),
    Field("gates[].disk_free", "size", "host: so much must be free on the disk of `path`."),
    Field("gates[].path", "text", "host: where; the working directory when left out."),
    Field("gates[].memory_free", "size", "host: so much memory must be available."),
    Field("gates[].load_below", "amount", "host: load a core, of the last minute."),
    Field(
        "gates[].call",
        "text",
        "python: the name of an entry point of the group `rota.gates` on the host; true lets pass, a text is why not.",
    ),
)
_OF_TASKS = (
    Field("tasks", "named", "Functions by name, shell patterns: `load_*`, `orders.load_*`, `Loader.run`; `*` is every function."),
    Field("tasks.*", "mapping", "What holds for functions that match; the first pattern that does."),
    Field("tasks.*.permit", "flag", "Each call asks for permission."),
    Field("tasks.*.on_unreachable", "unreachable", "What is said when nobody answers; go when left out."),
    Field("tasks.*.denied_value", "anything", "What a denied call returns; without it, it raises GateDenied."),
    Field("tasks.*.skipped_value", "anything", "What a skipped call returns; None when left out."),
    *_retry("tasks.*.retry", "A function"),
)
_OF_RULES = (
    Field("rules", "list", "What is done in a run that is under way, as its facts arrive."),
    Field(
        "rules[].when", "condition",
        "What must be so: `task('extract').rows == 0`, `task('load_*').failures > 3`, "
        "`task('extract').rows < 0.5 * last('extract').rows`.",
    ),
    Field("rules[].do", "action", "What then is done: `deny('load_*')`, `cancel()`, `alert('no rows')`."),
)  # fmt: skip
FIELDS = (*_OF_WHOLE, *_retry("retry", "A run"), *_OF_GATES, *_OF_TASKS, *_OF_RULES)

# Keys that must be there, by the mapping that they are of, and how one is written.
REQUIRED = {"schedule.after": ("workflow",), "alert.escalate[]": ("after", "to"), "gates[]": ("kind",), "rules[]": ("when", "do")}
EXAMPLES = {
    "schedule": 'schedule: {cron: "0 2 * * *"}',
    "alert.escalate": "[{after: 30m, to: oncall}]",
    "gates": "[{kind: concurrency, limit: 1}]",
    "tasks": '"load_*": {permit: true}',
    "retry": "{attempts: 3, wait: 30s}",
    "rules": """[{when: "task('extract').rows == 0", do: "deny('load_*')"}]""",
}
