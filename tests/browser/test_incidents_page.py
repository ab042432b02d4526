"""Incidents and the timeline in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import otlp
from collectors import CollectorProcess
from looking import Looked
from playwright.sync_api import Page, expect


def test_open_incidents_are_listed_with_those_that_they_explain_below(looked: Looked, page: Page) -> None:
    """And the closed ones on a page of their own, with why they closed."""
    page.goto(f"{looked.url}/incidents")
    expect(page.get_by_role("heading", name=re.compile(r"\d+ open incidents"))).to_be_visible()
    cases = page.locator("a.case")
    missed = cases.filter(has_text="etl.nightly")
    expect(missed.locator("xpath=following-sibling::a[1]")).to_have_class(re.compile("is-under"))
    page.get_by_role("link", name="Closed").click()
    page.wait_for_url("**/incidents?show=closed")
    expect(cases.filter(has_text=re.compile("closed .* after .*: "))).not_to_have_count(0)


def test_an_incident_says_what_happened_and_who_was_told(looked: Looked, page: Page) -> None:
    """With ways to its run or workflow, to what else ran then, and to those that it speaks for."""
    page.goto(f"{looked.url}/incident?id={looked.story.incidents['missed']}")
    expect(page.locator(".history").first).to_contain_text(
        re.compile("opened.*no run started within 15 min of its time", re.DOTALL)
    )
    expect(page.locator(".history").last).to_contain_text("ops")
    expect(page.locator("a.case")).to_have_count(3)
    page.get_by_role("link", name="See what else ran then").click()
    page.wait_for_url("**/timeline?day=*&at=02%3A00")
    expect(page.get_by_label("Time", exact=True)).to_have_value("02:00")


def test_acknowledge_snooze_and_close(collector, fresh, page: Page) -> None:
    """Acknowledging is one click, what is dangerous asks once; the collector has it with who did it."""
    collector.send(*otlp.whole_run(1, "failed", error_type="ValueError", error_message="bad"))
    collector.applied()
    url = fresh()
    page.goto(f"{url}/incidents")
    page.locator("a.case").click()
    expect(page.get_by_role("heading", name="etl.nightly: failed")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".pill", has_text="acknowledged")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("acknowledged by dashboard")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_role("button", name="Snooze…").click()
    page.get_by_role("dialog").get_by_role("button", name="Snooze", exact=True).click()
    expect(page.locator(".pill", has_text="snoozed")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Close…").click()
    expect(page.get_by_role("dialog")).to_contain_text("It is settled, whatever the facts say.")
    page.get_by_role("dialog").get_by_role("button", name="Close it").click()
    expect(page.locator(".pill", has_text="closed")).to_be_visible()
    [incident] = collector.item("/incidents")["items"]
    assert (incident["state"], incident["reason"]) == ("closed", "closed by dashboard")
    page.goto(url)
    expect(page.get_by_role("heading", name="Nothing needs you.")).to_be_visible()


def test_what_ran_at_a_time_of_a_day(looked: Looked, page: Page) -> None:
    """Lanes of hosts, tags or workflows; a line at a minute, and the runs of that minute as links below; all in the address."""
    ran_on = looked.missed_since - timedelta(days=1)
    page.goto(f"{looked.url}/timeline?day={looked.missed_since}")
    expect(page.locator(".lane", has_text="etl-1")).to_be_visible()
    page.get_by_label("the day before").click()
    page.wait_for_url(f"**/timeline?day={ran_on}&by=host")
    page.get_by_label("Time", exact=True).fill("02:13")
    expect(page.locator(".runs a.row", has_text="etl.nightly")).to_be_visible()
    assert "at=02%3A13" in page.url
    page.get_by_role("link", name="By tag").click()
    expect(page.locator(".lane", has_text="team:data")).to_be_visible()
    expect(page.get_by_label("Time", exact=True)).to_have_value("02:13")
    page.locator(".runs a.row", has_text="etl.nightly").click()
    expect(page.get_by_role("heading", name=re.compile(r"Run of .* 02:00"))).to_be_visible()


def test_a_day_without_runs_says_so(looked: Looked, page: Page) -> None:
    """A day before anything was known, and an address that is no day."""
    page.goto(f"{looked.url}/timeline?day=2020-02-30")
    expect(page.get_by_role("heading", name=re.compile("^Today"))).to_be_visible()
    page.goto(f"{looked.url}/timeline?day=2020-02-29&at=99:99")
    expect(page.get_by_text("Nothing ran on this day, as far as rota knows.")).to_be_visible()


def test_times_are_of_the_clock_on_the_wall_also_when_it_was_set_back(
    collector: CollectorProcess, fresh: Callable[..., str], page: Page
) -> None:
    """Ten past noon of a day of 25 hours is found by its time."""
    at = int(datetime(2026, 10, 25, 11, 13, tzinfo=UTC).timestamp() * 10**9)  # 12:13 in Berlin, since 3 in the morning
    collector.send(otlp.state(1, "succeeded", at + 40 * otlp.SECOND, workflow="etl.nightly", started=at))
    collector.applied()
    page.goto(f"{fresh()}/timeline?day=2026-10-25&at=12:13")
    expect(page.locator(".runs a.row", has_text="started 12:13")).to_be_visible()
    expect(page.get_by_label("Time", exact=True)).to_have_value("12:13")
    assert "at=12%3A13" in page.url
