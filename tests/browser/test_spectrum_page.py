"""The spectrum, approvals and decisions in a browser."""

from __future__ import annotations

import os
import re
import signal
import uuid
from typing import Any

import otlp
from collectors import CollectorProcess
from looking import Looked, key_of
from playwright.sync_api import Page, expect

from rota.wire import names

APPROVAL = {"gates": [{"kind": "concurrency", "limit": 1}, {"kind": "approval", "within": "4h"}]}
EVIL = '<img src=x onerror="window.owned=1">'


def ask(collector: CollectorProcess, workflow: str, run_id: str, **more: Any) -> Any:
    answer = collector.post("/api/v1/permission", {"workflow": workflow, "run_id": run_id, "host": "h1", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_spectrum_shows_where_each_stands_and_leads_on(looked: Looked, page: Page) -> None:
    """Stairs with who stands on each, which narrow the list; a search; each row a way to its next step; arrows and Enter."""
    page.goto(f"{looked.url}/spectrum")
    stairs, rows = page.locator(".step"), page.locator(".spectrum .row")
    expect(stairs).to_have_count(5)
    counts = [int(text) for text in page.locator(".step .number").all_inner_texts()]
    assert sum(counts) == int(page.get_by_role("status").inner_text().rpartition(" ")[2])
    stairs.nth(1).click()
    expect(page.get_by_role("status")).to_have_text(re.compile(rf"^{counts[1]} of"))
    page.wait_for_url("**/spectrum?show=expect")
    page.get_by_label("Find a workflow or tag").fill("etl.nightly")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("expect")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".spectrum .name:focus")).to_contain_text("etl.nightly")
    rows.get_by_role("link", name="etl.nightly: to retry").click()
    page.wait_for_url("**/policy?name=etl.nightly&to=retry")
    expect(page.get_by_label("Attempts:")).to_have_value("2")
    expect(page.get_by_label("Why", exact=True)).to_have_value("promote to retry")


def test_an_approval_is_seen_and_given(collector: CollectorProcess, fresh, page: Page) -> None:
    """A count on the overview; who asks, until when, and why; the word with a comment; the run is let go, and says so."""
    collector.put("/api/v1/workflows/pay/policy?author=ada&reason=finance+signs+off", APPROVAL)
    first, second = otlp.run_id(1), otlp.run_id(2)
    collector.send(otlp.state(1, "blocked", workflow="pay"), otlp.state(2, "blocked", workflow="pay"))
    for run in (first, second):
        assert ask(collector, "pay", run)["answer"] == "wait"
    collector.applied()
    url = fresh()
    page.goto(url)
    page.get_by_role("link", name="2 wait for approval").click()
    expect(page.get_by_role("heading", name="2 approvals wait for a person")).to_be_visible()
    asks = page.locator(".asks")
    expect(asks.first).to_contain_text("by the policy of ada: “finance signs off”")
    expect(asks.first).to_contain_text(re.compile(r"3h 59m left|4h 00m left"))
    asks.first.get_by_role("button", name="Refuse…").click()
    page.get_by_role("dialog").get_by_label("Comment").fill(EVIL)
    page.get_by_role("dialog").get_by_role("button", name="Refuse it").click()
    expect(page.get_by_role("heading", name="1 approval waits for a person")).to_be_visible()
    page.get_by_role("link", name="Answered").click()
    expect(asks.first).to_contain_text("refused by dashboard")
    expect(asks.first).to_contain_text(EVIL)
    [waiting] = collector.item("/approvals", state="asked")["items"]
    page.goto(f"{url}/run?id={waiting['run_id']}")
    expect(page.get_by_text("It waits for a person")).to_be_visible()
    expect(page.locator(".decisions details")).to_contain_text(
        re.compile("wait.*approval 2.*nobody has approved it yet", re.DOTALL)
    )
    page.get_by_role("button", name="Approve…").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve it").click()
    expect(page.get_by_text("It waits for a person")).to_have_count(0)
    assert collector.item(f"/approvals/{waiting['id']}")["state"] == "approve"
    assert ask(collector, "pay", waiting["run_id"])["answer"] == "go"
    expect(page.locator(".decisions details").nth(1)).to_contain_text(re.compile("go.*waited"))
    page.locator(".decisions summary").nth(1).click()
    expect(page.locator(".decisions details").nth(1).locator(".said").last).to_contain_text("approval says go")
    assert page.evaluate("window.owned") is None


def test_attempts_blind_decisions_and_the_line(collector: CollectorProcess, fresh, page: Page) -> None:
    """Each try with how it went, blind decisions marked, a run that is to end; who holds and who waits, on the workflow."""
    collector.put("/api/v1/workflows/etl.nightly/policy", {"gates": [{"kind": "concurrency", "limit": 1}]})
    run = otlp.run_id(1)
    collector.send(
        otlp.state(1, "running", otlp.T0),
        otlp.state(1, "retry_wait", otlp.T0 + otlp.SECOND, error_type="OSError", error_message=EVIL, reason="exit"),
        otlp.state(1, "running", otlp.T0 + 2 * otlp.SECOND, attempt=2),
    )
    collector.send(blind(run))
    assert ask(collector, "etl.nightly", run, attempt=2)["answer"] == "go"
    assert ask(collector, "etl.nightly", otlp.run_id(2))["answer"] == "wait"
    collector.applied()
    url = fresh()
    page.goto(f"{url}/run?id={run}")
    rows = page.locator(".attempts tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(f"OSError: {EVIL}")
    expect(rows.nth(2)).to_contain_text("running")
    expect(page.locator(".decisions details", has_text="blind")).to_contain_text("nobody answers")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".pill").first).to_contain_text("cancelling")
    page.goto(f"{url}/workflow?name=etl.nightly")
    places = page.locator(".place")
    expect(places).to_have_count(2)
    expect(places.nth(0)).to_contain_text("holds")
    expect(places.nth(1)).to_contain_text("waits, 1.")
    assert page.evaluate("window.owned") is None


def test_a_press_that_falls_together_with_the_page_s_own_look_is_not_lost(collector: CollectorProcess, fresh, page: Page) -> None:
    """The collector is slow for a moment, so that the next look and the press both wait for the one under way."""
    collector.send(otlp.state(1, "running"))
    collector.applied()
    page.goto(f"{fresh()}/run?id={otlp.run_id(1)}")
    page.get_by_role("button", name="Cancel…").click()
    press = page.get_by_role("dialog").get_by_role("button", name="Cancel the run")
    expect(press).to_be_visible()
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_visible()
    os.kill(collector.process.pid, signal.SIGSTOP)
    try:
        expect(page.locator("[data-test-script-state=running]")).to_be_visible()
        page.wait_for_timeout(5500)  # the next look is due every 5 s
        press.click()
        page.wait_for_timeout(500)
    finally:
        os.kill(collector.process.pid, signal.SIGCONT)
    expect(page.locator(".pill").first).to_contain_text("cancelling")
    expect(page.get_by_role("dialog")).to_have_count(0)


def blind(run_id: str) -> otlp.Record:
    """A decision that a host made while nobody answered, as it tells it later."""
    pairs = {
        names.EVENT_ID: str(uuid.uuid4()), names.WORKFLOW: "etl.nightly", names.RUN_ID: run_id, names.ATTEMPT: 1,
        names.GATE_ANSWER: "go", names.REASON: "nobody answers", names.SOURCE: "exec",
    }  # fmt: skip
    return {"timeUnixNano": str(otlp.T0), "eventName": names.DECISION_EVENT, "attributes": otlp.pair_list(pairs)}


def test_who_may_only_read_is_offered_nothing_to_change(collector: CollectorProcess, fresh, page: Page) -> None:
    """The policy can be read and not edited, approvals seen and not given; the collector would refuse anyway."""
    collector.put("/api/v1/workflows/pay/policy", APPROVAL)
    assert ask(collector, "pay", otlp.run_id(1))["answer"] == "wait"
    url = fresh(ROTA_TOKEN=key_of(collector, "read", ROTA_TOKEN=key_of(collector, "admin")))
    page.goto(f"{url}/approvals")
    expect(page.locator(".asks")).to_contain_text("needs a yes of an operator")
    expect(page.get_by_role("button", name=re.compile("Approve|Refuse"))).to_have_count(0)
    page.goto(f"{url}/policy?name=pay")
    expect(page.get_by_text("Changing it needs a key of the scope admin.")).to_be_visible()
    expect(page.get_by_label("At once:")).to_be_disabled()
    expect(page.locator("#yaml")).to_have_attribute("readonly", "")
    expect(page.get_by_role("button", name=re.compile("Save"))).to_have_count(0)
