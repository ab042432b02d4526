"""Rules on the run in flight: when they hold, and what then is done."""

from __future__ import annotations

import pytest

from rota.rules import inflight
from rota.rules.expression import check, holds
from rota.rules.inflight import Action, Facts
from rota.rules.policy import PolicyError, validate

TASKS = {
    "extract": {"rows": 0, "state": "succeeded", "calls": 1, "failures": 0},
    "load_a": {"rows": 5, "state": "succeeded", "calls": 2, "failures": 1},
    "load_b": {"rows": 7, "state": "failed", "calls": 1, "failures": 1, "file.name": "b.csv", "nothing": None},
}
FACTS = Facts.of("etl", "h1", 2, TASKS, {"extract": {"rows": 100}})


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("task('extract').rows == 0", True),
        ('task("extract").rows > 0', False),
        ("task('extract').rows < 0.5 * last('extract').rows", True),
        ("task('load_*').rows == 7", True),  # that of the one that ended last
        ("task('load_*').calls == 3 and task('load_*').failures == 2", True),
        ("task('load_b')['file.name'] == 'b.csv'", True),
        ("task('load_b').state in ('failed', 'crashed')", True),
        ("run.attempt > 1 and run.host == 'h1' and run.workflow != 'other'", True),
        ("run.failures >= 2", True),
        ("not task('extract').rows", True),
        ("abs(task('extract').rows - last('extract').rows) / max(1, last('extract').rows) > 0.5", True),
        ("1 < task('load_a').rows < 10", True),
    ],
)
def test_a_rule_holds_by_the_facts_it_names(when, expected):
    """Facts of tasks by name or pattern, of the last good run, and of the run itself."""
    check(when)
    assert holds(when, FACTS) is expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("task('transform').rows == 0", None),
        ("task('extract').bytes == 0", None),
        ("task('load_b').nothing == 0", None),
        ("last('load_a').rows == 0", None),
        ("not task('transform').rows == 0", None),
        ("task('transform').rows == 0 or task('extract').rows == 0", True),
        ("task('transform').rows == 0 or task('extract').rows == 1", None),
        ("task('transform').rows == 0 and task('extract').rows == 1", False),
        ("task('transform').rows == 0 and task('extract').rows == 0", None),
        ("task('extract').rows < 'many'", None),
        ("1 / task('extract').rows > 2", None),
        ("'%0999999999d' % 1 == ''", None),
        ("'a' * 999999999 == ''", None),
        ("no('when') ==", None),
    ],
)
def test_what_nobody_has_told_is_unknown(when, expected):
    """A fact that is missing, or cannot be compared, makes a rule hold neither way; and, or, not are those of SQL."""
    assert holds(when, FACTS) is expected


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "cannot be read"),
        ("task('a').rows = 1", "cannot be read"),
        ("__import__('os').system('x')", "can be called"),
        ("task('a').__class__", "is no fact"),
        ("task('a').rows.real", "have facts"),
        ("[x for x in 'ab']", "ListComp cannot stand in it"),
        ("9 ** 9 ** 9", "Pow cannot stand in it"),
        ("lambda: 1", "Lambda cannot stand in it"),
        ("task(run)", "name of a task in quotes"),
        ("task == 1", "it knows no 'task'"),
        ("rows == 0", "it knows no 'rows'"),
        ("f'{run.host}'", "cannot stand in it"),
        ("1 == 1" + " and 1 == 1" * 200, "longer than 1000"),
        ("(" * 900, "cannot be read"),
    ],
)
def test_nothing_but_facts_can_be_asked(when, said):
    """Whatever is no comparison of facts is refused, with a reason and an example."""
    with pytest.raises(ValueError, match=said.replace("(", r"\(")) as error:
        check(when)
    assert "write something like" in str(error.value) or "longer" in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deny('load_*')", Action("deny", "load_*")),
        ('deny( "load_*" , "no rows" )', Action("deny", "load_*", "no rows")),
        ("cancel", Action("cancel")),
        ("cancel('no rows')", Action("cancel", text="no rows")),
        ("alert()", Action("alert")),
        ("alert('no rows, again')", Action("alert", text="no rows, again")),
    ],
)
def test_an_action_is_one_word_with_texts(text, expected):
    """Tasks to be denied by pattern, or a text for people."""
    assert inflight.action(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "deny", "deny()", "deny(load)", "cancel('a', 'b')", "deny('a' 'b')", "deny('a',)", "stop()", "alert('a'); cancel()"],
)
def test_an_action_that_is_none_is_refused(text):
    """The message shows how one is written."""
    with pytest.raises(ValueError, match="write deny"):
        inflight.action(text)


def test_who_may_be_denied_and_whose_facts_count_is_read_from_the_rules():
    """These functions become tasks, and the former ask."""
    policy = {
        "rules": [
            {"when": "task('extract').rows == 0 or last(\"extract*\").rows == 1", "do": "deny('load_*')"},
            {"when": "run.failures > 1", "do": "cancel"},
        ]
    }
    assert inflight.denied(policy) == ["load_*"]
    assert inflight.named(policy) == ["extract", "extract*"]


def test_calls_and_failures_are_counted():
    """Each end of a task adds to what is known of it."""
    once = inflight.task_facts(None, {"rows": 3}, "succeeded", 1.5)
    twice = inflight.task_facts(once, {"rows": 4}, "failed", 2.5)
    assert once == {"rows": 3, "state": "succeeded", "duration_seconds": 1.5, "calls": 1, "failures": 0}
    assert twice == {"rows": 4, "state": "failed", "duration_seconds": 2.5, "calls": 2, "failures": 1}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "task('a').rows == 0"}, "rules[0]: {'when': \"task('a').rows == 0\"} has no do; write {when"),
        ({"when": "rows == 0", "do": "cancel"}, "rules[0].when: 'rows == 0' cannot be used: it knows no 'rows'"),
        ({"when": "run.failures > 1", "do": "stop"}, "rules[0].do: 'stop' cannot be used: 'stop' is no action"),
        ({"when": "run.failures > 1", "then": "stop"}, "did you mean"),
    ],
)
def test_a_policy_with_a_rule_that_cannot_be_used_is_refused(rule, said):
    """The message names the place and the next step."""
    with pytest.raises(PolicyError) as error:
        validate({"rules": [rule]})
    assert said in str(error.value)
