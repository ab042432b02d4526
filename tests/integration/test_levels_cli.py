"""``rota advise``, ``promote``, ``demote``, and versions of a policy: against a real collector with a past."""

from __future__ import annotations

import json
import time

import otlp
import pytest

EVERY = 60  # seconds between two runs


@pytest.fixture(scope="module")
def flaky(shared_collector):
    """A workflow of the last hours that failed four times, and each time was well a minute later."""
    first = time.time_ns() // otlp.SECOND - otlp.T0 // otlp.SECOND - 200 * EVERY
    name = f"flaky.{first}"
    for number in range(200):
        broken = {"error_type": "ConnectionError", "error_message": f"gone after {number} ms"} if number % 50 == 25 else {}
        records = otlp.whole_run(first + number * EVERY, "failed" if broken else "succeeded", workflow=name, **broken)
        shared_collector.send(*records)
    shared_collector.applied()
    return name


def test_advice_comes_with_its_evidence(rota, flaky):
    """Level, policy, the runs that tell it, and the next step."""
    lines = rota("advise", flaky).splitlines()
    assert lines[0].startswith(f"{flaky} is on the level observe; 200 runs since")
    assert lines[2] == "retry: retry 1×60 s would have saved 4 of 4 failures: their cause passed by itself"
    assert json.loads(lines[3].partition("policy")[2]) == {"retry": {"attempts": 2, "wait": "60s"}}
    assert sum("rota show" in line for line in lines) == 3
    assert lines[-1] == f"rota promote {flaky} --to retry"
    (advice,) = json.loads(rota("advise", flaky, "--json"))["items"]
    assert (advice["level"], advice["saved"], advice["of"], len(advice["runs"])) == ("retry", 4, 4, 4)
    assert "nobody" in rota("advise", "nobody", status=1)


def test_a_workflow_goes_up_and_down_by_its_policy_alone(rota, flaky):
    """A dry run stores nothing; each step is a version; what was learned is in it."""
    shown = json.loads(rota("promote", flaky, "--to", "retry", "--dry-run"))
    assert shown["retry"] == {"attempts": 2, "wait": "60s"}
    assert rota("promote", flaky, "--to", "retry").splitlines()[0] == f"{flaky}: observe → retry, version 1"
    assert "on the level retry already" in rota("promote", flaky, "--to", "retry", status=1)
    assert rota("promote", flaky, "--to", "orchestrate").splitlines()[0] == f"{flaky}: retry → orchestrate, version 2"
    assert json.loads(rota("policy", "get", flaky, "--json"))["policy"]["tasks"] == {"*": {"permit": True}}
    assert rota("demote", flaky, "--to", "observe").splitlines()[0] == f"{flaky}: orchestrate → observe, version 3"
    versions = json.loads(rota("policy", "get", flaky, "--versions", "--json"))
    assert [each["reason"] for each in versions] == ["demote to observe", "promote to orchestrate", "promote to retry"]


def test_versions_are_compared_and_brought_back(rota, tmp_path):
    """A diff of the last two, of any two, of a file and what is stored; a rollback is another version, with why."""
    file = tmp_path / "rota.yaml"
    for attempts in (2, 3):
        file.write_text(f"workflow: rolled\nretry: {{attempts: {attempts}}}\n")
        rota("policy", "apply", "-f", str(file))
    changed = ['-    "attempts": 2', '+    "attempts": 3']
    assert [line for line in rota("policy", "diff", "rolled").splitlines() if line[:2] in ("- ", "+ ")] == changed
    assert rota("policy", "diff", "rolled", "--from", "1", "--to", "2") == rota("policy", "diff", "rolled")
    assert rota("policy", "diff", "-f", str(file)) == "no difference\n"
    file.write_text("workflow: rolled\nretry: {attempts: 9}\n---\nworkflow: never.seen\nkind: manual\n")
    assert '+    "attempts": 9' in rota("policy", "diff", "rolled", "-f", str(file)).splitlines()
    assert '+  "kind": "manual"' in rota("policy", "diff", "-f", str(file)).splitlines()
    assert "there are 1, 2" in rota("policy", "diff", "rolled", "--to", "7", status=1)

    assert json.loads(rota("policy", "rollback", "rolled", "--to", "1", "--json"))["policy"] == {"retry": {"attempts": 2}}
    newest, *_ = json.loads(rota("policy", "get", "rolled", "--versions", "--json"))
    assert (newest["version"], newest["reason"]) == (3, "back to version 1")


def test_a_proposed_policy_is_tried_on_the_past(rota, flaky, tmp_path):
    """What it would have done, part by part, and what the past does not tell; nothing is stored."""
    file = tmp_path / "rota.yaml"
    gates = "[{kind: rate, limit: 1, per: 90s}, {kind: approval}]"
    file.write_text(f"workflow: {flaky}\nretry: {{attempts: 2, wait: 60s}}\ngates: {gates}\n")
    before = rota("policy", "get", flaky, "--versions", "--json")
    lines = rota("policy", "test", "-f", str(file)).splitlines()
    assert lines[0] == f"{flaky}: gate, 200 runs looked at"
    assert [line.split()[:5] for line in lines[2:]] == [
        ["retry", "retry", "tried", "4", "runs"], ["retry", "retry", "saved", "4", "runs"],
        ["gates[0]", "rate", "held", "199", "runs"], ["gates[1]", "unknown", "nobody", "kept", "what"],
    ]  # fmt: skip
    assert rota("policy", "get", flaky, "--versions", "--json") == before
    (told,) = json.loads(rota("policy", "test", "-f", str(file), "--json"))
    assert [(each["answer"], each["count"], len(each["runs"])) for each in told["changes"]] == [
        ("retry", 4, 4), ("saved", 4, 4), ("wait", 199, 100),
    ]  # fmt: skip
    file.write_text("workflow: x\nretri: {}\n")
    assert "did you mean retry?" in rota("policy", "test", "-f", str(file), status=1)
