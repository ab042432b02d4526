"""A task asks before it runs: what answers do to it, who answers, and what is told of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from permissions import DENY, GO, PERMIT, SKIP, agent_socket, decisions, results, write_policy
from scripts import EXTREMES, PYTHONS, Outcome, run_script

Run = Callable[..., Outcome]


EVERY_KIND = """
    import asyncio
    import rota
    rota.watch()
    ran = []
    def plain(): ran.append("plain"); return 1
    async def coroutine(): ran.append("coroutine"); return 1
    def generator(): ran.append("generator"); yield 1
    async def stream(): ran.append("stream"); yield 1
    class Loader:
        def method(self): ran.append("method"); return 1
        @classmethod
        def of(cls): ran.append("of"); return 1
        @staticmethod
        def static(): ran.append("static"); return 1
    async def collected(): return [item async for item in stream()]
    def outcome(call):
        try:
            return call()
        except rota.GateDenied as denied:
            return "%s: %s" % (denied.task, denied.reason)
    for call in (plain, Loader().method, Loader.of, Loader.static, lambda: list(generator()), lambda: asyncio.run(coroutine()),
                 lambda: asyncio.run(collected())):
        print(outcome(call))
    print(ran)
"""
KINDS = ["plain", "Loader.method", "Loader.of", "Loader.static", "generator", "coroutine", "stream"]
POLICY = {"collected": {}, "outcome": {}, "*": PERMIT}


def test_what_is_permitted_runs(run: Run, home: Path) -> None:
    """Every kind of function asks the agent before its body runs, and returns what it returns."""
    write_policy(home, "job", POLICY)
    with agent_socket() as agent:
        outcome = run(EVERY_KIND, environment={"ROTA_AGENT": agent.address})
    assert outcome.stdout.decode().split("\n")[:7] == ["1", "1", "1", "1", "[1]", "1", "[1]"], outcome.stderr.decode()
    assert agent.tasks == KINDS
    assert set(results(outcome).values()) == {None}
    assert decisions(outcome) == [(name, "go", "agent") for name in KINDS]


def test_what_is_denied_raises_and_does_not_run(run: Run, home: Path) -> None:
    """`rota.GateDenied` tells the task and the reason; the task's span has the result skip, and no error."""
    write_policy(home, "job", POLICY)
    with agent_socket(lambda _: DENY) as agent:
        outcome = run(EVERY_KIND, environment={"ROTA_AGENT": agent.address})
    assert outcome.stdout.decode().split("\n") == [*(f"{name}: no rows" for name in KINDS), "[]", ""], outcome.stderr.decode()
    assert {name: result for name, result in results(outcome).items() if name in KINDS} == dict.fromkeys(KINDS, "skip")
    assert [span["name"] for span in outcome.spans if "status" in span] == ["collected"]


@pytest.mark.parametrize(("answer", "more", "returned"), [
    (SKIP, {}, "None"),
    (SKIP, {"skipped_value": 7}, "7"),
    (DENY, {"denied_value": None}, "None"),
    (DENY, {"denied_value": {"rows": 0}}, "{'rows': 0}"),
])  # fmt: skip
@pytest.mark.parametrize("python", [PYTHONS[version] for version in EXTREMES], ids=EXTREMES)
def test_a_call_that_is_not_made_returns_what_the_policy_says(run, home, python, answer, more, returned) -> None:  # type: ignore[no-untyped-def]
    """A skipped call returns `skipped_value`, None when left out; a denied one `denied_value` where that is declared."""
    write_policy(home, "job", {"load": {**PERMIT, **more}})
    with agent_socket(lambda _: answer) as agent:
        source = "import rota\nrota.watch()\ndef load(): raise SystemExit('ran')\nprint(load())\n"
        outcome = run(source, environment={"ROTA_AGENT": agent.address})
    assert outcome.stdout.decode() == returned + "\n"
    assert results(outcome) == {"load": "skip"}


def test_an_uncaught_denial_ends_the_script_as_any_exception_does(run: Run, home: Path) -> None:
    """The run failed, with GateDenied; so did the task around it; the denied one did not fail."""
    write_policy(home, "job", {"outer": {}, "load": PERMIT})
    with agent_socket(lambda _: DENY) as agent:
        source = "import rota\nrota.watch()\ndef load(): pass\ndef outer(): load()\nouter()\n"
        outcome = run(source, environment={"ROTA_AGENT": agent.address})
    assert outcome.code == 1
    assert b"rota.errors.GateDenied: load may not run: no rows (deny). `rota policy show job` shows" in outcome.stderr
    assert outcome.last["error.type"] == "rota.errors.GateDenied"
    assert [(s["name"], "status" in s) for s in outcome.spans] == [("load", False), ("outer", True), ("job", True)]


def test_a_question_says_who_asks(run: Run, home: Path) -> None:
    """Workflow, run, attempt, task, host, and where the host's policies are; no ticket the first time, and no wait."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket() as agent:
        source = "import rota\nrun = rota.watch()\ndef load(): pass\nload()\nprint(run.run_id)\n"
        outcome = run(source, environment={"ROTA_AGENT": agent.address})
    (question,) = agent.questions
    assert question.pop("host")
    assert question.pop("run_id") == outcome.stdout.decode().strip()
    assert question == {
        "permit": 1, "home": str(home), "workflow": "job", "attempt": 1, "task": "load",
        "slot_at": None, "priority": 0, "ticket": None, "wait_seconds": 0, "local": [], "facts": {},
    }  # fmt: skip


def test_facts_of_tasks_that_ended_go_with_the_question_when_there_are_rules(run: Run, home: Path) -> None:
    """What `extract` recorded is known when `load` asks, as it leaves the host with its span: without secrets."""
    write_policy(
        home, "job", {"extract": {}, "load": PERMIT}, rules=[{"when": "task('extract').rows == 0", "do": "deny('load')"}]
    )
    with agent_socket() as agent:
        run("""
            import rota
            rota.watch()
            def extract(): rota.record(rows=0, password='x', odd=object())
            def load(): pass
            extract()
            load()
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    (facts,) = [question["facts"]["tasks"]["extract"] for question in agent.questions if question["task"]]
    known = {"state": "succeeded", "calls": 1, "failures": 0, "duration_seconds": facts["duration_seconds"]}
    assert facts == {"rows": 0, "password": "[redacted]", "odd": "<builtins.object>", **known}


def test_who_waits_keeps_its_ticket_until_there_is_an_answer(run: Run, home: Path) -> None:
    """`wait` is asked again with the ticket; only a changed answer is told again; the coroutine's loop goes on meanwhile."""
    write_policy(home, "job", {"load": PERMIT, "slow": PERMIT})
    asked: dict[str, int] = {}

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        asked[question["task"]] = asked.get(question["task"], 0) + 1
        if asked[question["task"]] == 3:
            return GO
        return {"answer": "wait", "reason": "full", "by": "agent", "ticket": "t-" + question["task"], "look_again_seconds": 0.05}

    with agent_socket(answer) as agent:
        outcome = run("""
            import asyncio
            import rota
            rota.watch()
            def load(): return 1
            async def slow(): return 2
            assert load() == 1
            async def main():
                turns, other = 0, asyncio.ensure_future(slow())
                while not other.done():
                    turns += 1
                    await asyncio.sleep(0.001)
                assert await other == 2 and turns > 10, turns
            asyncio.run(main())
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    tickets = [(question["ticket"], question["wait_seconds"]) for question in agent.questions]
    assert tickets == [(None, 0), ("t-load", 20), ("t-load", 20), (None, 0), ("t-slow", 20), ("t-slow", 20)]
    assert decisions(outcome) == [(task, said, "agent") for task in ("load", "slow") for said in ("wait", "go")]


@pytest.mark.parametrize(("chosen", "ran"), [("go", True), ("skip", False), ("deny", False), ("wait(1ms)", False)])
def test_when_nobody_answers_the_policy_has_said_what_then(run: Run, home: Path, chosen: str, ran: bool) -> None:
    """`on_unreachable` decides; the blind decision is an event of the run."""
    write_policy(home, "job", {"load": {**PERMIT, "on_unreachable": chosen, "denied_value": None}})
    outcome = run("import rota\nrota.watch()\ndef load(): print('ran')\nload()\n")
    assert outcome.code == 0, outcome.stderr.decode()
    assert outcome.stdout == (b"ran\n" if ran else b"")
    answers = {"wait(1ms)": ["wait", "deny"]}.get(chosen, [chosen])
    assert decisions(outcome) == [("load", answer, "sdk") for answer in answers]


def test_tasks_of_another_run_do_not_ask(run: Run, home: Path) -> None:
    """The policy is of the workflow that the process is a run of; what `rota.run` begins inside is another one."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket() as agent:
        outcome = run("""
            import rota
            rota.watch()
            def load(): return 1
            with rota.run("inner"):
                load()
                with rota.task("load"): pass
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert agent.tasks == []
    assert outcome.last["rota.permission.ran"] == 0


def test_a_function_that_nobody_touched_is_tried_again_and_asks_each_time(run: Run, home: Path) -> None:
    """The third attempt is denied: that is no failure, and not tried again."""
    write_policy(home, "job", {"load": {**PERMIT, "retry": {"attempts": 5, "wait": "1ms"}}})
    asked: list[int] = []

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        asked.append(1)
        return DENY if len(asked) == 3 else GO

    with agent_socket(answer) as agent:
        outcome = run("""
            import rota
            rota.watch()
            def load(): raise ValueError("x")
            try:
                load()
            except rota.GateDenied as denied:
                print(denied.reason)
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.stdout == b"no rows\n", outcome.stderr.decode()
    spans = [span for span in outcome.spans if span["kind"] == 1]
    assert [("status" in span, span["attributes"].get("rota.attempt")) for span in spans] == [(True, 1), (True, 2), (False, 3)]


def test_a_block_asks_too(run: Run, home: Path) -> None:
    """`with rota.task(…)` and `async with`: it cannot be left out, so that a skip raises as a denial does."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket(lambda _: SKIP) as agent:
        outcome = run("""
            import asyncio
            import rota
            rota.watch()
            async def slow():
                async with rota.task("load"): print("ran")
            for block in (lambda: rota.task("load").__enter__(), lambda: asyncio.run(slow())):
                try:
                    block()
                except rota.GateDenied as denied:
                    assert denied.answer == "skip"
                else:
                    raise SystemExit("it was let in")
            with rota.task("free"): pass
            assert rota.current() is rota.watch()
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert agent.tasks == ["load", "load"]
    assert [(s["name"], s["attributes"].get("cicd.pipeline.task.run.result")) for s in outcome.spans if s["kind"] == 1] == [
        ("load", "skip"), ("load", "skip"), ("free", None),
    ]  # fmt: skip


def test_a_denial_travels_out_of_a_worker_process(home: Path) -> None:
    """It can be pickled: a pool hands it to whoever waits for the result."""
    import pickle

    from rota.errors import GateDenied

    denied = GateDenied("load", "job", "deny", "no rows")
    again = pickle.loads(pickle.dumps(denied))
    assert (str(again), again.task, again.answer, again.reason) == (str(denied), "load", "deny", "no rows")


@pytest.mark.parametrize("gates", [[], [{"gate": 0, "answer": "deny"}]], ids=["alone", "with gates"])
def test_a_decision_tells_the_facts_that_it_rested_on(home: Path, gates: list[dict[str, Any]]) -> None:
    """The event's text is JSON: what each gate said, or of which facts the answer was given."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket(lambda _: {**DENY, "gates": gates}) as agent:
        source = "import rota\nrota.watch()\ndef load(): pass\nload()\n"
        outcome = run_script(source, home, environment={"ROTA_AGENT": agent.address})
    (told,) = [e for e in outcome.events if e["event"] == "rota.gate.decision"]
    alone = {"gate": None, "kind": None, "answer": "deny", "reason": "no rows", "facts": {"tasks": {}}}
    assert json.loads(told["body"]) == (gates or [alone])
    assert told["rota.state.reason"] == "no rows"
