"""The front page as an operator uses it."""

from __future__ import annotations

import re

from looking import Looked
from playwright.sync_api import Page, expect


def row(page: Page, name: str):
    """The row of a workflow."""
    return page.locator(".workflows .row").filter(has=page.locator("b", has_text=re.compile(f"^{re.escape(name)}$")))


def test_what_needs_someone_comes_first(looked: Looked, page: Page) -> None:
    """A sentence, then the open incidents by name with their cause and since when; those that somebody took are last."""
    page.goto(looked.url)
    expect(page.get_by_role("heading", name=re.compile(r"^\d+ workflows need someone$"))).to_be_visible()
    missed = page.locator("a.case", has_text=looked.story.missed_workflow)
    expect(missed).to_contain_text(f"Missed {looked.missed_slot}: no run started within 15 min of its time · 3 downstream held")
    expect(missed).to_contain_text(re.compile(r"for \d+[dhm]"))
    expect(page.locator("a.case.is-dim", has_text="acknowledged by maya")).to_be_visible()
    expect(page.locator("a.case").last).to_have_class(re.compile("is-dim"))
    expect(page.locator("a.case", has_text=looked.story.dependents[0])).to_have_count(0)


def test_each_workflow_is_a_row_with_its_shape_strip_band_and_next_slot(looked: Looked, page: Page) -> None:
    """The shape of its last outcome, its level, the strip, how long it took against what is usual, and when it is due."""
    page.goto(looked.url)
    missed = row(page, looked.story.missed_workflow)
    expect(missed.locator(".mark")).to_have_attribute("aria-label", "missed")
    expect(missed.locator(".level")).to_have_text("expect")
    expect(missed.locator(".strip")).to_have_attribute("aria-label", re.compile("[12] went wrong, newest missed"))
    expect(missed.locator(".next")).to_have_text(re.compile(r"^(\d+[hms]|\d+ s|due)"))
    page.get_by_label("Order").select_option("By name")  # rows that are not in sight are not on the page
    page.get_by_label("Find a workflow or tag").fill(looked.story.paused_workflow)
    expect(row(page, looked.story.paused_workflow).locator(".next")).to_have_text("paused")
    page.get_by_label("Find a workflow or tag").fill(looked.story.never_ran_workflow)
    expect(row(page, looked.story.never_ran_workflow).locator(".strip")).to_have_attribute("aria-label", "no runs yet")


def test_search_filter_and_order_stay_in_the_address(looked: Looked, page: Page) -> None:
    """A page that somebody narrowed can be sent to somebody else."""
    page.goto(looked.url)
    every = page.locator(".workflows .row")
    expect(every.first).to_be_visible()
    page.get_by_label("Find a workflow or tag").fill("team:data gdpr")
    expect(row(page, "ingest.orders")).to_be_visible()
    expect(row(page, "report.kpi")).to_have_count(0)
    page.get_by_role("button", name="Attention").click()
    page.get_by_label("Order").select_option("By name")
    assert "q=team%3Adata+gdpr&show=attention&order=name" in page.url

    page.reload()
    expect(page.get_by_label("Find a workflow or tag")).to_have_value("team:data gdpr")
    expect(page.get_by_role("button", name="Attention")).to_have_attribute("aria-pressed", "true")
    expect(every).to_have_count(2)
    expect(every.first).to_contain_text("etl.nightly")


def test_a_search_that_finds_nothing_says_how_to_get_back(looked: Looked, page: Page) -> None:
    """It names what was searched for, and clears it."""
    page.goto(looked.url)
    page.get_by_label("Find a workflow or tag").fill("no such thing")
    expect(page.get_by_text("Nothing matches “no such thing”.")).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator(".workflows .row").first).to_be_visible()


def test_a_row_is_a_link_and_back_comes_back(looked: Looked, page: Page) -> None:
    """A click opens the workflow without loading the page anew; Back shows the overview as it was narrowed."""
    page.goto(f"{looked.url}/?q=ingest")
    page.evaluate("window.same = true")
    link = row(page, "ingest.orders")
    expect(link).to_have_attribute("href", "/workflow?name=ingest.orders")
    link.click()
    expect(page.get_by_role("heading", name="ingest.orders")).to_be_visible()
    assert page.url == f"{looked.url}/workflow?name=ingest.orders"
    page.go_back()
    expect(page.get_by_label("Find a workflow or tag")).to_have_value("ingest")
    assert page.url == f"{looked.url}/?q=ingest"
    assert page.evaluate("window.same") is True
    page.go_forward()
    expect(page.get_by_role("heading", name="ingest.orders")).to_be_visible()


def test_the_keyboard_is_enough(looked: Looked, page: Page) -> None:
    """A slash goes to the search, arrows and j and k go from row to row, Enter opens."""
    page.goto(looked.url)
    expect(page.locator(".workflows .row").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("ingest.orders")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ingest.orders")).to_be_visible()
    page.go_back()
    page.get_by_label("Find a workflow or tag").fill("")
    page.get_by_label("Find a workflow or tag").press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.row") == "1"


def test_the_last_day_leads_to_the_timeline_and_the_next_slot_to_its_workflow(looked: Looked, page: Page) -> None:
    """What the head mentions can be opened."""
    page.goto(looked.url)
    page.get_by_role("link", name=re.compile(r"\d+ runs, \d+ failed")).click()
    expect(page.get_by_role("heading", name=re.compile("^Today"))).to_be_visible()
    assert page.url == f"{looked.url}/timeline"
    page.go_back()
    page.locator(".facts a").click()
    page.wait_for_url("**/workflow?name=*")


def test_every_name_is_text_whatever_is_in_it(looked: Looked, page: Page) -> None:
    """Markup, control characters and marks that turn text round are shown, not followed, on every page that names them."""
    assert looked.story.hostile_run
    run = looked.collector.item(f"/runs/{looked.story.hostile_run}")
    page.goto(looked.url)
    link = page.locator(".workflows .row").filter(has_text="<img src=x")
    expect(link).to_contain_text("\\u202e")
    link.click()
    expect(page.get_by_role("heading", name=re.compile("^<img src=x"))).to_be_visible()
    page.locator(".runs a.row").first.click()
    page.wait_for_url(f"**/run?id={run['id']}")
    expect(page.locator(".wrong .type")).to_contain_text("Evil<script>")
    for where in ("/incidents", "/timeline?by=tag", "/timeline?by=workflow"):
        page.goto(looked.url + where)
        expect(page.locator(".case, .lane").first).to_be_visible()
    assert "owned" not in page.title()
    assert page.locator("img[src=x], script:has-text('owned'), a[href*='javascript']").count() == 0


def test_a_phone_has_everything_without_scrolling_sideways(looked: Looked, page: Page) -> None:
    """Rows become two lines; only what is wide in itself scrolls."""
    page.set_viewport_size({"width": 390, "height": 844})
    for where in (
        "/",
        f"/workflow?name={looked.story.missed_workflow}",
        f"/run?id={looked.story.failed_run}",
        "/timeline",
        "/incidents",
        "/spectrum",
        f"/policy?name={looked.story.missed_workflow}&to=retry",
        "/approvals",
    ):
        page.goto(looked.url + where)
        expect(page.locator("h1")).to_be_visible()
        main = page.locator('[data-testid="stMain"]')
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, where
    page.goto(looked.url)
    expect(row(page, "ingest.orders").locator(".strip path").first).to_be_visible()
    assert row(page, "ingest.orders").evaluate("e => e.getBoundingClientRect().height") == 56


def test_light_and_dark_follow_the_reader_and_can_be_read(looked: Looked, context, page: Page) -> None:
    """Text and colours of meaning hold 4.5:1 against the ground in both."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(looked.url)
        expect(page.locator("h1")).to_be_visible()
        ratios = page.locator("h1").evaluate(CONTRASTS)
        assert all(ratio >= 4.5 for ratio in ratios.values()), (scheme, ratios)


CONTRASTS = """(h1) => {
  const look = getComputedStyle(h1.getRootNode().host);
  const light = (colour) => {
    const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const value = (name) => light(look.getPropertyValue(name).trim());
  const found = {};
  for (const ground of ["--st-background-color", "--st-secondary-background-color"])
    for (const name of ["text", "red", "green", "violet", "blue", "gray", "yellow-text"]) {
      const [a, b] = [value(`--st-${name}-color`), value(ground)].sort((x, y) => y - x);
      found[`${name} on ${ground}`] = (a + 0.05) / (b + 0.05);
    }
  return found;
}"""
