"""The page of a workflow in a browser."""

from __future__ import annotations

import re

import otlp
from looking import Looked
from playwright.sync_api import Page, expect


def test_it_says_what_is_expected_who_said_so_and_what_is_wrong(looked: Looked, page: Page) -> None:
    """The schedule in words, the policy and its author, the open incident with its cause, five figures."""
    page.goto(f"{looked.url}/workflow?name={looked.story.missed_workflow}")
    expect(page.locator(".facts").first).to_contain_text("Every day at 02:00 Europe/Berlin, 15 min grace")
    expect(page.locator(".facts").first).to_contain_text(re.compile(r"policy v\d by maya"))
    expect(page.locator(".cause")).to_contain_text(f"Missed {looked.missed_slot}")
    expect(page.locator(".figures > div")).to_have_count(5)
    page.get_by_role("link", name="See the incident").click()
    expect(page.get_by_role("heading", name=f"{looked.story.missed_workflow}: missed {looked.missed_slot}")).to_be_visible()


def test_four_lamps_say_what_it_reports(looked: Looked, page: Page) -> None:
    """Hollow where nothing is reported, with words for it."""
    page.goto(f"{looked.url}/workflow?name=ingest.orders")
    lamps = page.locator(".lamps li")
    expect(lamps).to_have_count(4)
    expect(lamps.nth(1)).to_have_attribute("title", re.compile("code: .*tasks"))
    page.goto(f"{looked.url}/workflow?name={looked.story.never_ran_workflow}")
    expect(lamps.nth(2)).to_have_attribute("title", "data: does not report")
    expect(page.locator(".pill").first).to_have_text("never ran")


def test_the_calendar_shows_the_worst_of_each_day(looked: Looked, page: Page) -> None:
    """The day of the missed slot says so in words as well as in its shape."""
    page.goto(f"{looked.url}/workflow?name={looked.story.missed_workflow}")
    day = page.locator(".calendar g").filter(has=page.locator("title", has_text=f"{looked.missed_on:%a %-d %b %Y}"))
    expect(day.locator("title")).to_have_text(re.compile(": 1 missed$"))
    expect(day.locator("rect")).to_have_class(re.compile("hollow bad"))


def test_bars_lead_to_their_runs(looked: Looked, page: Page) -> None:
    """A failed run stands out by its colour and a cross, and a click opens it."""
    page.goto(f"{looked.url}/workflow?name=ingest.orders")
    bar = page.locator(".durations .bar-link").filter(has=page.locator("title", has_text="failed")).last
    expect(bar.locator(".stroke.bad")).to_have_count(1)
    bar.locator(".hit").click()
    page.wait_for_url(f"**/run?id={looked.story.failed_run}")


def test_runs_can_be_narrowed_and_paged(looked: Looked, page: Page) -> None:
    """The filter is in the address; older runs are a link away; slots to which no run came stand among the runs."""
    page.goto(f"{looked.url}/workflow?name={looked.story.missed_workflow}")
    expect(page.locator(".runs .row").first).to_contain_text("no run seen by 02:15")
    page.goto(f"{looked.url}/workflow?name=ingest.orders")
    page.get_by_role("link", name="Older →").click()
    page.wait_for_url("**&from=*")
    expect(page.get_by_role("link", name="← Newest")).to_be_visible()
    page.get_by_role("link", name="Went wrong").click()
    page.wait_for_url("**/workflow?name=ingest.orders&show=bad")
    expect(page.locator(".runs .row")).to_have_count(2)
    expect(page.locator(".runs .row").first).to_contain_text("psycopg.OperationalError: connection refused")


def test_the_policy_in_force_shows_who_set_each_key(looked: Looked, page: Page) -> None:
    """Every key with its source, and every version with who and when."""
    page.goto(f"{looked.url}/workflow?name={looked.story.missed_workflow}")
    page.get_by_text("Policy in force").click()
    expect(page.locator("tr", has_text="schedule.cron")).to_contain_text("0 2 * * *")
    expect(page.locator(".more table").nth(1).locator("tr").first).to_contain_text("maya")


def test_pausing_asks_once_and_resuming_does_not(collector, fresh, page: Page) -> None:
    """What it will do is said before it is done; then the page shows it."""
    collector.send(*otlp.whole_run(1))
    collector.applied()
    page.goto(f"{fresh()}/workflow?name=etl.nightly")
    page.get_by_role("button", name="Pause…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing will be expected of etl.nightly")
    dialog.get_by_label("Why").fill("the source is being rebuilt")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".pill", has_text="paused")).to_be_visible()
    [quiet] = collector.item("/maintenance")["items"]
    assert (quiet["workflow"], quiet["reason"], quiet["by"]) == ("etl.nightly", "the source is being rebuilt", "dashboard")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause…")).to_be_visible()
    assert collector.item("/maintenance")["items"] == []


def test_a_workflow_that_nobody_knows_is_said_to_be_unknown(looked: Looked, page: Page) -> None:
    """With the collector's words, and the way back."""
    page.goto(f"{looked.url}/workflow?name=never.heard.of")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.get_by_role("link", name="Overview").last.click()
    expect(page.locator(".workflows .row").first).to_be_visible()
