"""The policy document: what may stand in it, what is said of what may not, and what is in force."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import jsonschema
import pytest

from rota.rules.declared import Declared
from rota.rules.fields import FIELDS, LATER, NEVER
from rota.rules.policy import PolicyError, from_declared, merge, validate, when_of
from rota.rules.policy_schema import schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "policy.schema.json"
SCHEMA = jsonschema.Draft202012Validator(schema())
FULL = {
    "workflow": "etl.nightly",
    "kind": "script",
    "per": "host",
    "schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m", "early": 60},
    "expect": {
        "max_duration": "2h", "min_duration": "30s", "failures": 2, "successes": 1, "silence": "10m",
        "upstream": ["ingest.orders"],
    },
    "alert": {"channels": ["ops"], "remind": "4h", "escalate": [{"after": "30m", "to": "oncall"}]},
}  # fmt: skip
GOOD = [
    {},
    FULL,
    {"schedule": {"every": "10m"}},
    {"schedule": {"every": 600}},
    {"schedule": {"on_calendar": ["Mon..Fri 02:00", "Sat 04:00"]}},
    {"schedule": {"after": {"workflow": "ingest.orders", "within": "30m"}}},
    {"schedule": {"after": {"workflow": "ingest.orders"}}},
    {"schedule": {"cron": None, "every": "5m"}},
    {"schedule": None, "expect": None, "alert": None},
    {"expect": {"failures": False, "max_duration": None}},
    {"alert": {"channels": []}},
    {"alert": {"channels": "ops", "escalate": []}},
    {
        "priority": 5,
        "retry": {
            "attempts": 3,
            "wait": "30s",
            "backoff": 2,
            "jitter": 0.2,
            "max_wait": "10m",
            "timeout": "3h",
            "attempt_timeout": 60,
            "on": ["TimeoutError", "httpx.ConnectError", "exit:75", "exit:1-9", "signal:KILL", "timeout", "message:lost .* peer"],
            "not_on": "exit:2",
        },
        "gates": [
            {"kind": "concurrency", "limit": 1, "scope": "warehouse", "weight": 2, "on_unreachable": "wait(30m)"},
            {"kind": "rate", "limit": 10, "per": "1h"},
            {"kind": "upstream", "workflow": "ingest.orders", "fresh_within": "24h", "state": "any"},
            {"kind": "upstream", "all_of": ["a", "b"], "join": "slot", "wait_at_most": "4h", "otherwise": "skip"},
            {
                "kind": "window",
                "only": "Mon..Fri 08:00-18:00",
                "not": ["2026-12-24..2026-12-26", "Sat,Sun"],
                "tz": "Europe/Berlin",
            },
            {"kind": "breaker", "failures": 5, "within": "24h", "cool_down": "6h", "on": ["message:quota"]},
            {"kind": "probe", "http": "https://api.example.com/health", "expect": 200, "timeout": "5s"},
            {"kind": "probe", "file": "/data/orders.csv", "fresh_within": "1d"},
            {"kind": "probe", "sql": "SELECT count(*) > 0 FROM orders", "database": "/data/orders.sqlite"},
            {"kind": "probe", "command": "is-the-vpn-up", "expect": 0},
            {"kind": "approval", "role": "operate", "within": "4h", "on_unreachable": "deny"},
            {"kind": "host", "disk_free": "10GB", "path": "/data", "memory_free": "512 MiB", "load_below": 0.9},
            {"kind": "python", "call": "checks:may_load", "tz": None},
        ],
        "tasks": {
            "load_*": {"permit": True, "retry": {"attempts": 5, "wait": "5s"}, "denied_value": [1, None]},
            "orders.Loader.run": {"permit": False, "on_unreachable": "skip", "skipped_value": 0},
            "old_*": None,
        },
    },
]


def at(path: str, value: object) -> dict[str, object]:
    """A document with the value at that path of the table of fields."""
    for name in reversed(path.replace("*", "load").split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


BAD = [  # (document, what must be said: the path and the value or the right key)
    ([], ["[]"]),
    ("0 2 * * *", ["'0 2 * * *'"]),
    (None, ["None"]),
    ({"schedul": {"cron": "0 2 * * *"}}, ["schedul:", "did you mean schedule?"]),
    ({"schedule": {"crn": "0 2 * * *"}}, ["schedule.crn:", "'0 2 * * *'", "did you mean schedule.cron?"]),
    ({"grace": "15m"}, ["grace:", "'15m'", "did you mean schedule.grace?"]),
    ({"max_duration": "2h"}, ["max_duration:", "did you mean expect.max_duration?"]),
    ({"zzz": 1}, ["zzz:", "there are workflow, kind, per, schedule, expect, alert"]),
    ({"schedule": "0 2 * * *"}, ["schedule:", "'0 2 * * *'", 'write schedule: {cron: "0 2 * * *"}']),
    ({"schedule": {}}, ["schedule:", "none of cron, every, on_calendar, after"]),
    ({"schedule": {"grace": "15m"}}, ["schedule:", "none of cron, every, on_calendar, after"]),
    ({"schedule": {"on_calendar": []}}, ["schedule:", "none of cron, every, on_calendar, after"]),
    ({"schedule": {"cron": "0 2 * * *", "every": "5m"}}, ["schedule:", "cron and every"]),
    ({"schedule": {"cron": 5}}, ["schedule.cron: 5", "put it in quotes"]),
    ({"schedule": {"cron": ""}}, ["schedule.cron: ''"]),
    ({"schedule": {"every": "soon"}}, ["schedule.every: 'soon'", "15m"]),
    ({"schedule": {"every": 0}}, ["schedule.every: 0", "above 0"]),
    ({"schedule": {"every": "0s"}}, ["schedule.every: '0s'", "above 0"]),
    ({"schedule": {"every": True}}, ["schedule.every: True"]),
    ({"schedule": {"every": -5}}, ["schedule.every: -5"]),
    ({"schedule": {"cron": "0 2 * * *", "grace": 1e9}}, ["schedule.grace: 1000000000.0", "400 days"]),
    ({"schedule": {"after": "ingest.orders"}}, ["schedule.after: 'ingest.orders'", "no mapping"]),
    ({"schedule": {"after": {"within": "30m"}}}, ["schedule.after:", "names no workflow"]),
    ({"per": "hst"}, ["per: 'hst'", "workflow, host"]),
    ({"kind": "cron"}, ["kind: 'cron'", "script, service, external, manual"]),
    ({"expect": {"failures": True}}, ["expect.failures: True", "from 1 to 1000", "false"]),
    ({"expect": {"failures": "no"}}, ["expect.failures: 'no'"]),
    ({"expect": {"successes": 0}}, ["expect.successes: 0"]),
    ({"expect": {"successes": False}}, ["expect.successes: False"]),
    ({"expect": {"upstream": [1]}}, ["expect.upstream: [1]"]),
    ({"expect": []}, ["expect: []", "no mapping"]),
    ({"alert": {"escalate": {"after": "30m", "to": "x"}}}, ["alert.escalate:", "write [{after: 30m, to: oncall}]"]),
    ({"alert": {"escalate": [{"after": "30m"}]}}, ["alert.escalate[0]:", "write {after: 30m, to: oncall}"]),
    ({"alert": {"escalate": [{"after": "30m", "to": "x"}, {"aftr": "1h", "to": "y"}]}}, ["alert.escalate[1].aftr:", "after?"]),
    ({"alert": {"escalate": [{"after": "q", "to": 5}]}}, ["alert.escalate[0].after: 'q'", "alert.escalate[0].to: 5"]),
    *[(at(path, {}), [f"{path.replace('*', 'load')}: not in this version yet"]) for path in LATER],
    *[(at(path, "10m"), [f"{path.replace('*', 'load')}: {why}"]) for path, why in NEVER.items()],
    ({"retry": 3}, ["retry: 3", "no mapping", "write {attempts: 3, wait: 30s}"]),
    ({"retry": {"attempts": 0}}, ["retry.attempts: 0", "from 1 to 1000"]),
    ({"retry": {"attempt": 3}}, ["retry.attempt:", "did you mean retry.attempts?"]),
    ({"retry": {"wait": "-5s"}}, ["retry.wait: '-5s'", "write it like 90s"]),
    ({"retry": {"backoff": 0.5}}, ["retry.backoff: 0.5", "from 1 to 1000"]),
    ({"retry": {"jitter": 2}}, ["retry.jitter: 2", "from 0 to 1"]),
    ({"retry": {"on": 75}}, ["retry.on: 75", "no list of texts"]),
    ({"gates": {"kind": "concurrency"}}, ["gates:", "no list", "write [{kind: concurrency, limit: 1}]"]),
    ({"gates": ["concurrency"]}, ["gates[0]: 'concurrency' is no mapping", "write {kind: concurrency, limit: 1}"]),
    ({"gates": [{"limit": 1}]}, ["gates[0]:", "has no kind"]),
    ({"gates": [{"kind": "concurency", "limit": 1}]}, ["gates[0].kind: 'concurency'", "none of concurrency, rate"]),
    ({"gates": [{"kind": "concurrency", "limit": 0}]}, ["gates[0].limit: 0", "from 1 to 1000"]),
    ({"gates": [{"kind": "concurrency", "limt": 1}]}, ["gates[0].limt:", "did you mean gates[].limit?"]),
    ({"gates": [{"kind": "concurrency"}]}, ["gates[0]: a concurrency gate needs limit"]),
    ({"gates": [{"kind": "concurrency", "limit": 1, "within": "1h"}]}, ["gates[0]: within is no key of a concurrency gate"]),
    ({"gates": [{"kind": "upstream"}]}, ["gates[0]: it has none of workflow, all_of; it needs one"]),
    ({"gates": [{"kind": "upstream", "workflow": "a", "all_of": ["b"]}]}, ["gates[0]: it has workflow and all_of"]),
    ({"gates": [{"kind": "window"}]}, ["gates[0]: a window gate needs one of only, not"]),
    ({"gates": [{"kind": "window", "not": []}]}, ["gates[0].not: [] is empty"]),
    ({"gates": [{"kind": "breaker", "failures": 3, "on_unreachable": "maybe"}]}, ["on_unreachable: 'maybe'", "wait(30m)"]),
    ({"gates": [{"kind": "breaker", "failures": 3, "on_unreachable": "wait(soon)"}]}, ["'wait(soon)'", "no duration"]),
    ({"gates": [{"kind": "host", "disk_free": "10"}]}, ["gates[0].disk_free: '10'", "10GiB"]),
    ({"tasks": ["load_*"]}, ["tasks: ['load_*'] is no mapping", 'write "load_*": {permit: true}']),
    ({"tasks": {"load_*": {"permit": "yes"}}}, ["tasks.load_*.permit: 'yes'", "neither true nor false"]),
    ({"tasks": {"a.b": {"premit": True}}}, ["tasks.a.b.premit:", "did you mean tasks.*.permit?"]),
    ({"tasks": {"": {"permit": True}}}, ["tasks: '' is no name"]),
    ({"priority": 101}, ["priority: 101", "from 0 to 100"]),
]  # fmt: skip
TOGETHER = [  # each value is good: what no schema can say
    ({"workflow": "a", "schedule": {"after": {"workflow": "a"}}}, ["schedule.after.workflow:", "after itself"]),
    ({"workflow": "a", "expect": {"upstream": ["b", "a"]}}, ["expect.upstream: 'a'", "itself"]),
    ({"expect": {"min_duration": "2h", "max_duration": "90m"}}, ["expect.min_duration: '2h'", "'90m'"]),
    ({"schedule": {"every": "60w"}}, ["schedule.every: '60w'", "400 days"]),
    ({"workflow": "a", "gates": [{"kind": "upstream", "all_of": ["a"]}]}, ["gates[0]: 'a' cannot wait for itself"]),
    ({"gates": [{"kind": "window", "only": ["Mon", "Foo"]}]}, ["gates[0].only:", "Foo in 'Foo'", "Mon..Fri 08:00-18:00"]),
    ({"gates": [{"kind": "window", "only": "2026-02-30"}]}, ["2026-02-30 in '2026-02-30' is no date"]),
    ({"gates": [{"kind": "window", "only": "2026-12-26..2026-12-24"}]}, ["ends before it begins"]),
    ({"retry": {"on": ["message:("]}}, ["retry.on:", "'message:('", "missing )"]),
    ({"retry": {"on": ["exit code 5"]}}, ["retry.on:", "'exit code 5'", "signal:NAME"]),
]


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_a_good_document_is_good_for_the_schema_too(document):
    """The validator and the published schema agree."""
    validate(document)
    SCHEMA.validate(document)


@pytest.mark.parametrize(("document", "said"), BAD, ids=lambda value: json.dumps(value)[:60])
def test_a_bad_document_is_bad_for_the_schema_too(document, said):
    """The validator says where, what, and what to write instead; an editor with the schema marks it as well."""
    assert problems_of(document, said)
    assert not SCHEMA.is_valid(document)


@pytest.mark.parametrize(("document", "said"), TOGETHER, ids=lambda value: json.dumps(value)[:60])
def test_what_does_not_go_together_is_refused(document, said):
    """A schema cannot say it; the validator does."""
    assert problems_of(document, said)


def problems_of(document: object, said: list[str]) -> list[str]:
    """What is wrong with a document, in which each of ``said`` has to be."""
    with pytest.raises(PolicyError) as refused:
        validate(document)
    text = "\n".join(refused.value.problems)
    assert [part for part in said if part not in text] == [], text
    return refused.value.problems


def test_all_problems_are_told_at_once():
    """Each with its path, in the order of the document."""
    document = {"expct": {}, "schedule": {"evry": "5m", "tz": 5}, "expect": {"failures": 0}, "params": {}}
    found = problems_of(document, [])
    assert [problem.partition(":")[0] for problem in found] == [
        "expct",
        "schedule.evry",
        "schedule.tz",
        "expect.failures",
        "params",
    ]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({True: {"all_of": []}}, "on: unknown key"),
        ({"schedule": {"cron": datetime.date(2026, 1, 31)}}, "schedule.cron: datetime.date(2026, 1, 31) is no text"),
        ({"alert": {"channels": [True]}}, "alert.channels: [True]"),
        ({"workflow": 5}, "workflow: 5 is no text: put it in quotes"),
        ({"schedule": {"every": float("nan")}}, "schedule.every: nan"),
    ],
    ids=str,
)  # fmt: skip
def test_what_yaml_makes_of_bare_words_is_explained(document, said):
    """A reader of YAML 1.1 makes booleans, numbers and dates of what was meant as text."""
    assert said in "\n".join(problems_of(document, []))


def test_a_valid_document_is_a_copy_with_lists_where_lists_may_stand():
    """One name may be written alone; what was given is not changed."""
    given = {"alert": {"channels": "ops"}, "schedule": {"on_calendar": "Mon 02:00"}, "expect": {"upstream": "a"}}
    before = json.dumps(given)
    found = validate(given)
    assert (found["alert"]["channels"], found["schedule"]["on_calendar"], found["expect"]["upstream"]) == (
        ["ops"],
        ["Mon 02:00"],
        ["a"],
    )
    assert json.dumps(given) == before
    assert validate(found) == found


def test_the_published_schema_is_the_one_in_the_code():
    """An editor that loads it knows every key, and what it means."""
    assert json.loads(PUBLISHED.read_text()) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())
    assert [field.path for field in FIELDS if not field.help] == []


@pytest.mark.parametrize(
    ("code", "stored", "in_force"),
    [
        ({"schedule": {"every": "1h", "grace": "5m"}}, {"schedule": {"cron": "0 2 * * *"}}, {"schedule": {"cron": "0 2 * * *"}}),
        ({"expect": {"max_duration": "2h"}}, {"expect": {"failures": 2}}, {"expect": {"max_duration": "2h", "failures": 2}}),
        ({"expect": {"max_duration": "2h"}}, {"expect": {"max_duration": None, "failures": 2}}, {"expect": {"failures": 2}}),
        ({"expect": {"max_duration": "2h"}}, {"expect": {"max_duration": None}}, {}),
        ({"schedule": {"every": "1h"}, "per": "host"}, {"schedule": None}, {"per": "host"}),
        ({"expect": {"max_duration": "2h"}}, {"expect": None}, {}),
        ({"per": "host"}, {"per": "workflow"}, {"per": "workflow"}),
        ({}, {"expect": {"upstream": None}, "alert": {"channels": []}}, {"alert": {"channels": []}}),
        ({"per": "host"}, {}, {"per": "host"}),
    ],
    ids=str,
)
def test_what_is_stored_overrides_code_key_by_key(code, stored, in_force):
    """Inside expect and alert each key for itself, a schedule as a whole; a stored null takes the code's value away."""
    assert merge(code, stored) == in_force


@pytest.mark.parametrize(
    ("declared", "document"),
    [
        (Declared(), {}),
        (Declared("0 2 * * *", "Europe/Berlin", "15m", "2h", "script"),
         {"per": "host", "schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"},
          "expect": {"max_duration": "2h"}}),
        (Declared("every 10m", named_by="given"), {"schedule": {"every": "10m"}}),
        (Declared("Mon..Fri 02:00; Sat 04:00"), {"schedule": {"on_calendar": ["Mon..Fri 02:00", "Sat 04:00"]}}),
        (Declared(None, "Europe/Berlin", "15m"), {}),
    ],
)  # fmt: skip
def test_what_code_declares_is_a_document(declared, document):
    """Named by its script, a workflow is one for each host."""
    assert from_declared(declared) == (document, [])
    assert validate(document) == document


def test_what_code_declares_badly_is_left_out_and_said():
    """A wrong grace takes nothing else away; a schedule without its time is none."""
    document, problems = from_declared(Declared("0 2 * * *", "UTC", "soon", "2h"))
    assert document == {"schedule": {"cron": "0 2 * * *", "tz": "UTC"}, "expect": {"max_duration": "2h"}}
    assert [problem.partition(":")[0] for problem in problems] == ["schedule.grace"]
    document, problems = from_declared(Declared("every now and then", "UTC", "15m", "long"))
    assert document == {}
    assert [problem.partition(":")[0] for problem in problems] == ["schedule.every", "expect.max_duration"]


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("0 2 * * *", {"cron": "0 2 * * *"}),
        ("@daily", {"cron": "@daily"}),
        (" every 5m ", {"every": "5m"}),
        ("Every 5m", {"every": "5m"}),
        ("02:00", {"on_calendar": ["02:00"]}),
        ("Mon *-*-1 02:00; Tue 03:00\n\n", {"on_calendar": ["Mon *-*-1 02:00", "Tue 03:00"]}),
    ],
)
def test_one_line_is_cron_an_interval_or_a_calendar(text, when):
    """What `watch(schedule=…)` takes is told apart by its form."""
    assert when_of(text) == when
