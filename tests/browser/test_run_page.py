"""The page of a run in a browser."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import otlp
from collectors import until
from looking import Looked
from playwright.sync_api import Page, expect
from servers import client_of


def test_what_went_wrong_stands_above_everything(looked: Looked, page: Page) -> None:
    """Type, message, whether it is known, where it broke first, the last good run, and the stack as it was printed."""
    page.goto(f"{looked.url}/run?id={looked.story.failed_run}")
    box = page.locator(".wrong")
    expect(box.locator(".type")).to_have_text("psycopg.OperationalError")
    expect(box).to_contain_text(re.compile(r"Same error as (the last failure|\d+ of the last \d+ failures)\."))
    expect(box).to_contain_text(re.compile(r"First seen in INSERT orders at \d\d:\d\d:\d\d"))
    expect(box.locator("pre")).to_contain_text('File "/opt/pipelines/ingest/orders.py", line 141, in <module>')
    expect(page.locator(".differences")).to_contain_text(re.compile(r"load_row.*none failed.*of \d+ failed"))
    page.get_by_role("link", name="See the last good run").click()
    expect(page.locator(".pill", has_text="succeeded")).to_be_visible()
    expect(page.locator(".wrong")).to_have_count(0)


def test_tasks_are_bars_and_a_click_tells_of_one(looked: Looked, page: Page) -> None:
    """Each under the one that called it; the chosen one shows what it says of itself."""
    page.goto(f"{looked.url}/run?id={looked.story.failed_run}")
    labels = page.locator(".waterfall .label")
    expect(labels.first).to_contain_text("ingest.orders")
    expect(labels.first).to_have_attribute("aria-level", "1")
    page.get_by_role("button", name="Failed only").click()
    failed = labels.filter(has_text="publish")
    expect(failed).to_have_class(re.compile("is-bad"))
    failed.click()
    expect(page.locator(".detail")).to_contain_text("psycopg.OperationalError")
    labels.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.row") == "1"


def test_fifty_thousand_spans_are_a_few_rows_until_they_are_unfolded(looked: Looked, page: Page) -> None:
    """Many of one name are one row with how many they are; a click unfolds them, and only those in sight are drawn."""
    page.goto(f"{looked.url}/run?id={looked.story.large_run}")
    caption = page.locator(".waterfall .caption")
    expect(caption).to_contain_text(re.compile(r"50,000 spans in \d rows"))
    many = page.locator(".waterfall .label", has_text="load_row")
    expect(many).to_contain_text(re.compile(r"×49,\d+"))
    page.locator(".waterfall .label", has_text="partition").click()
    expect(caption).to_contain_text(re.compile(r"50,000 spans in \d\d+ rows"))
    assert page.locator(".waterfall .label").count() < 60


def test_logs_are_searched_and_the_search_stays_in_the_address(looked: Looked, page: Page) -> None:
    """By text and by severity; what does not match goes."""
    page.goto(f"{looked.url}/run?id={looked.story.failed_run}")
    lines = page.locator(".logs .line")
    expect(lines.filter(has_text="extract")).not_to_have_count(0)
    page.get_by_label("Search logs").fill("publish failed")
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("ERROR")
    assert "log=publish" in page.url
    page.get_by_label("Search logs").fill("nothing of the kind")
    expect(page.locator(".logs")).to_contain_text("Nothing matches.")
    page.reload()
    expect(page.locator(".logs")).to_contain_text("Nothing matches.")


def test_who_told_what_is_kept(looked: Looked, page: Page) -> None:
    """The history of a run: states by their source, the verdict on its slot, the incident that followed."""
    page.goto(f"{looked.url}/run?id={looked.story.failed_run}")
    history = page.locator(".history")
    expect(history).to_contain_text(re.compile("running.*sdk.*failed.*sdk.*incident.*collector", re.DOTALL))
    page.get_by_text("Attributes").click()
    expect(page.locator(".pairs").last).to_contain_text(looked.story.failed_run)


def test_each_ending_has_its_words(looked: Looked, page: Page) -> None:
    """A crash, a run that never ended, a cancelled one: what is known of each is said, and no more."""
    said = {
        "crashed": "left no word",
        "timed_out": "no end was heard of",
        "cancelled": "Cancelled",
    }
    for which, words in said.items():
        page.goto(f"{looked.url}/run?id={looked.story.runs[which]}")
        expect(page.locator(".wrong")).to_contain_text(words)


def test_a_row_counts_the_calls_that_its_spans_stand_for(collector, fresh, page: Page) -> None:
    """One span of 812 calls is ×812; many folded into a row add up, those that say nothing as one each."""
    spans = [otlp.task(1, 0, "etl.nightly"), otlp.task(1, 1, "SELECT orders", parent=None)]
    spans += [otlp.task(1, number, "INSERT orders") for number in range(2, 22)]
    for number, calls in ((1, 812), (2, 1000), (3, 500)):
        spans[number]["attributes"] += otlp.pair_list({"rota.calls.count": calls})
    collector.send(*otlp.whole_run(1))
    collector.send_spans(*spans)
    collector.applied()
    page.goto(f"{fresh()}/run?id={otlp.run_id(1)}")
    labels = page.locator(".waterfall .label")
    expect(labels.filter(has_text="SELECT orders")).to_contain_text("×812")
    expect(labels.filter(has_text="INSERT orders")).to_contain_text("×1,518")
    expect(labels.filter(has_text="etl.nightly")).not_to_contain_text("×")
    page.locator(".waterfall canvas.bars").hover(position={"x": 20, "y": 36})
    expect(page.locator(".waterfall .tip")).to_contain_text("SELECT orders: 812 calls, 10 ms")


def test_cpu_and_memory_are_drawn_where_they_were_measured(looked: Looked, page: Page) -> None:
    """Series of a run that has some."""
    runs = looked.collector.item("/runs", limit=400)["items"]
    measured = next(run for run in runs if looked.collector.item(f"/runs/{run['id']}/metrics")["items"])
    page.goto(f"{looked.url}/run?id={measured['id']}")
    expect(page.locator(".series figure").first).to_contain_text(re.compile("process.*last .*most"))


def test_a_run_is_watched_while_it_runs(collector, fresh, page: Page, tmp_path) -> None:
    """Nothing is reloaded: the task that runs is there, then its end, then the end of the run."""
    (tmp_path / "job.py").write_text(SCRIPT)
    environment = client_of(collector)
    with (
        agent(environment),
        subprocess.Popen([sys.executable, tmp_path / "job.py"], env=environment, stdin=subprocess.PIPE) as script,
    ):
        assert script.stdin is not None
        [run] = until(collector.all_runs, "the run")
        page.goto(f"{fresh()}/run?id={run['id']}")
        expect(page.locator(".waterfall .label", has_text="first")).to_be_visible()
        expect(page.locator(".pill", has_text="running")).to_be_visible()
        script.stdin.write(b"\n")
        script.stdin.flush()
        expect(page.locator(".waterfall .label", has_text="second")).to_be_visible()
        script.stdin.write(b"\n")
        script.stdin.flush()
    expect(page.locator(".pill", has_text="succeeded")).to_be_visible()
    expect(page.locator(".figures")).to_contain_text("42")


@contextlib.contextmanager
def agent(environment: dict[str, str]) -> Iterator[None]:
    """An agent on the host of a script: what a task says while it runs is delivered at once."""
    socket = Path(environment["ROTA_HOME"]) / "agent.sock"
    with subprocess.Popen([sys.executable, "-m", "rota", "agent"], env=environment, stderr=subprocess.DEVNULL) as process:
        until(socket.exists, "the agent")
        yield
        process.terminate()


SCRIPT = """
import rota
rota.watch("job")
for name in ("first", "second"):
    with rota.task(name):
        rota.record(rows=21)
        input()
"""


def test_an_outcome_is_set_by_a_person(collector, fresh, page: Page) -> None:
    """It asks once, says what it will do, and the run shows what was said, by whom and why."""
    collector.send(*otlp.whole_run(1, "failed", exit_code=1))
    collector.applied()
    page.goto(f"{fresh()}/run?id={otlp.run_id(1)}")
    page.get_by_role("button", name="Set outcome…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is failed now.")
    dialog.get_by_label("Why").fill("checked by hand")
    dialog.get_by_role("button", name="Set outcome", exact=True).click()
    expect(page.locator(".pill", has_text="succeeded (dashboard: checked by hand)")).to_be_visible()
    assert collector.item(f"/runs/{otlp.run_id(1)}")["source"] == "person"


def test_a_run_that_nobody_knows_is_said_to_be_unknown(looked: Looked, page: Page) -> None:
    """A link to what was forgotten, or no link at all, leads to a page that says so."""
    for where in ("/run?id=00000000-0000-7000-8000-000000000000", "/run", "/incident?id=nothing", "/incident"):
        page.goto(looked.url + where)
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
