"""A headless Chromium, and dashboards over collectors: one with history for all who only look, fresh ones for the others."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.history import make
from collectors import PATIENCE_SECONDS, CollectorProcess
from looking import Looked, dashboard
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, once."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person in Berlin with an empty browser."""
    found = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB")
    found.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Its only tab. At the end of each test nothing must have gone wrong in it, and nothing have been asked of anybody else."""
    found = context.new_page()
    problems: list[str] = []
    hosts: set[str] = set()
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    found.on("request", lambda asked: hosts.add(asked.url.split("/")[2]) if asked.url.startswith("http") else None)
    yield found
    assert problems == []
    assert len(hosts) <= 1, hosts


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    """A dashboard over three days of history, hostile names among them."""
    folder = tmp_path_factory.mktemp("looked")
    story = make(folder / "collector", days=3, workflows=14, large=True, hostile=True)
    collector = CollectorProcess(folder / "collector", folder / "collector.stderr").start()
    with dashboard(collector.addresses["http"], folder) as url:
        yield Looked(url, collector, story)
    collector.close()


@pytest.fixture
def fresh(collector: CollectorProcess, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a dashboard over an empty collector; its address."""
    with contextlib.ExitStack() as opened:
        yield lambda **settings: opened.enter_context(dashboard(collector.addresses["http"], tmp_path, **settings))
