"""The dashboard as its user sees it: a real script, a real collector, a real browser."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from collectors import PATIENCE_SECONDS, CollectorProcess, until
from playwright.sync_api import Page, sync_playwright
from servers import client_of, environment_of, serve

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SCRIPT = """
import rota
rota.watch("etl.<b>nightly</b>")
with rota.task("load"):
    raise ValueError("row 7 is [broken](http://evil.example)")
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@contextlib.contextmanager
def dashboard(environment: dict[str, str], log: Path) -> Iterator[str]:
    """A dashboard; its address."""
    address = f"http://{environment['ROTA_DASHBOARD']}"
    with serve([sys.executable, "-m", "rota_dashboard"], environment, log, f"{address}/_stcore/health"):
        yield address


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield page
        browser.close()


def test_a_run_is_found_and_opened(collector: CollectorProcess, page, tmp_path):
    """A failed run makes the title; choosing it opens its page with the stack; nothing is loaded from elsewhere."""
    environment, hosts = client_of(collector), set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    (tmp_path / "job.py").write_text(SCRIPT)
    subprocess.run([sys.executable, tmp_path / "job.py"], env=environment, capture_output=True, check=False)
    (run,) = until(lambda: [run for run in collector.all_runs() if run["state"] == "failed"], "the run")

    with dashboard(environment, tmp_path / "dashboard.log") as address:
        page.goto(address)
        page.get_by_role("heading", name="1 workflow needs someone").wait_for()
        runs = page.get_by_test_id("stDataFrame").nth(1)
        runs.scroll_into_view_if_needed()
        runs.click(position={"x": 16, "y": 47})  # the box of the first row; the table is a canvas

        page.wait_for_url(f"**/run?id={run['id']}")
        page.get_by_test_id("stCode").get_by_text("ValueError: row 7 is [broken](http://evil.example)").wait_for()
        page.get_by_text("etl.<b>nightly</b>").wait_for()
        assert page.locator("a[href*=evil]").count() == 0
        page.get_by_text("← Overview").click()
        page.get_by_role("heading", name="1 workflow needs someone").wait_for()
        assert hosts == {environment["ROTA_DASHBOARD"]}


def test_it_comes_back_by_itself_when_the_collector_does(new_collector, page, tmp_path):
    """Without a collector the page says so calmly; when one starts, the page shows it without a reload."""
    environment = environment_of(tmp_path / "home")
    with dashboard(environment, tmp_path / "dashboard.log") as address:
        page.goto(address)
        page.get_by_role("heading", name="The collector does not answer.").wait_for()
        new_collector(ROTA_HTTP=environment["ROTA_HTTP"]).start()
        page.get_by_role("heading", name="No runs yet").wait_for()
        page.get_by_text("rota.watch()").wait_for()
