"""The dashboard in Chromium over thousands of workflows and a million runs, beside an empty page of Streamlit."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from bench import processes, servers
from bench.figures import Figure, in_turn, share
from bench.startup import PROGRAMS

RUNS, WORKFLOWS, SPANS = 1_000_000, 2_000, 20_000_000
_LOADS, _CLICKS, _FIRST_SESSIONS, _SESSIONS, _ASKED = 9, 40, 3, 20, 60
EMPTY = "an empty page of Streamlit"
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
# Time is taken inside the page: from the start of its navigation until something of it is there.
_WATCH = """
window.find = (wanted) => {
  const parts = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')].map((host) => host.shadowRoot);
  for (const root of [document, ...parts])
    for (const found of root?.querySelectorAll(wanted) ?? []) if (found.checkVisibility()) return found;
};
window.until = (wanted, text) => new Promise((done) => {
  const look = () => {
    const found = window.find(wanted);
    if (found && (!text || found.textContent.includes(text))) done(performance.now());
    else requestAnimationFrame(look);
  };
  look();
});
"""
_CLICK = """async (i) => {
  const rows = [...window.find('.workflows .long').querySelectorAll('.row')].slice(0, 20);
  const row = rows[i % rows.length];
  const name = row.querySelector('b').textContent;
  const began = performance.now();
  row.click();
  await until('h1', name);
  await until('.runs .row');
  return performance.now() - began;
}"""
_BACK = """async () => {
  const began = performance.now();
  history.back();
  await until('.workflows .row');
  return performance.now() - began;
}"""


class Served(NamedTuple):
    """A dashboard, an empty page, and the collector behind the first."""

    url: str
    empty: str
    collector: servers.Collector
    run: str


def measure(effort: float) -> list[Figure]:
    """Everything in one run of the same servers."""
    sizes = [share(RUNS, effort, 20_000), WORKFLOWS, share(SPANS, effort, 100_000)]
    note = f"{sizes[1]:,} workflows, {sizes[0]:,} runs, {sizes[2]:,} spans"
    with processes.scratch() as work, _served(work, sizes) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_QUIET)
        figures = [
            *_loads(browser, served, effort, note),
            *_clicks(browser, served, effort),
            *_sessions(browser, served.collector),
        ]
        browser.close()
        return [*figures, *_api(served, effort, note)]


@contextlib.contextmanager
def _served(work: Path, sizes: list[int]) -> Iterator[Served]:
    home = work / "server"
    home.mkdir()
    filled = subprocess.run(
        [sys.executable, str(PROGRAMS / "fill_home.py"), str(home), *map(str, sizes)], stdout=subprocess.PIPE, check=True
    )
    run = json.loads(filled.stdout)["run"]
    with servers.collector(home) as collector, servers.dashboard(collector) as (url, _), _empty(work) as empty:
        yield Served(url, empty, collector, run)


@contextlib.contextmanager
def _empty(work: Path) -> Iterator[str]:
    with servers.reserved() as port:
        pass
    options = ["--server.headless=true", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    program = [str(PROGRAMS / "empty_page.py"), f"--server.port={port}", "--server.address=127.0.0.1", *options]
    command = [sys.executable, "-m", "streamlit", "run", *program]
    with servers.running(command, servers.inherited(), work / "empty.log"):
        url = f"http://127.0.0.1:{port}"
        servers.wait_for(lambda: servers.answers(f"{url}/_stcore/health"), f"{url} does not answer")
        yield url


# -- loading -------------------------------------------------------------------------------------------------------------


def _loads(browser: Browser, served: Served, effort: float, note: str) -> list[Figure]:
    rounds = share(_LOADS, effort)
    empty = (served.empty, "h2")
    pages = {
        "overview": (served.url + "/", ".workflows .row", "page.overview.warm", "page.overview.cold"),
        "run of 50,000 spans": (f"{served.url}/run?id={served.run}", ".waterfall .label", "page.run.warm", None),
        "workflow": (f"{served.url}/workflow?name=team00.job0000", ".runs .row", None, None),
        "timeline": (f"{served.url}/timeline", ".lane", None, None),
    }
    figures = []
    for name, (url, wanted, warm, cold) in pages.items():
        for kind, budget in (("warm", warm), ("cold", cold)):
            if kind == "cold" and budget is None:
                continue
            load = functools.partial(_load, browser, is_warm=kind == "warm")
            base, values = in_turn(rounds, functools.partial(load, *empty), functools.partial(load, url, wanted))
            figures.append(Figure(f"{name}, {kind}", "rota", "ms", values, EMPTY, base, "ratio", budget, False, note))
    return figures


def _load(browser: Browser, url: str, wanted: str, *, is_warm: bool) -> float:
    """One load in a browser that is new, or that has seen the page once."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(_WATCH)
    taken = 0.0
    for _ in range(2 if is_warm else 1):
        page = context.new_page()
        page.goto(url, wait_until="commit")
        taken = float(page.evaluate("(wanted) => until(wanted)", wanted))
        page.close()
    context.close()
    return taken


# -- in the app ----------------------------------------------------------------------------------------------------------


def _clicks(browser: Browser, served: Served, effort: float) -> list[Figure]:
    """From the overview into workflows and back; no request leaves the host."""
    page, hosts = _open(browser, served.url), set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    there, back = [], []
    for i in range(share(_CLICKS, effort, 8)):
        there.append(float(page.evaluate(_CLICK, i)))
        back.append(float(page.evaluate(_BACK)))
        page.wait_for_timeout(300)
    page.context.close()
    foreign = hosts - {served.url.split("/")[2]}
    note = f"{len(there)} clicks; hosts asked beside our own: {len(foreign)}"
    goal = (500.0,)
    return [
        Figure(
            "a click into a workflow, p95", "rota", "ms", (_p95(there),), "the goal", goal, "ratio", "page.click", False, note
        ),
        Figure("a click into a workflow, median", "rota", "ms", (statistics.median(there),), "the goal", goal, "ratio"),
        Figure("Back to the overview, p95", "rota", "ms", (_p95(back),), "the goal", goal, "ratio"),
    ]


def _open(browser: Browser, url: str) -> Page:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(_WATCH)
    page = context.new_page()
    page.goto(url)
    page.evaluate("until('.workflows .row')")
    return page


def _sessions(browser: Browser, collector: servers.Collector) -> list[Figure]:
    """What a server that has only just begun, and so has freed nothing yet, keeps for each tab that shows the overview."""
    with servers.dashboard(collector) as (url, pid):
        first = [_open(browser, url) for _ in range(_FIRST_SESSIONS)]
        time.sleep(1)
        before = _resident_mb(pid)
        more = [_open(browser, url) for _ in range(_SESSIONS)]
        time.sleep(1)
        grown = (_resident_mb(pid) - before) / _SESSIONS
        for page in [*first, *more]:
            page.context.close()
    base = f"the server with {_FIRST_SESSIONS}"
    return [Figure("server memory a session", "rota", "MB", (grown,), base, (before,), "ratio", "page.session", False)]


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# -- the API behind it ---------------------------------------------------------------------------------------------------


def _api(served: Served, effort: float, note: str) -> list[Figure]:
    """Each endpoint that the pages ask, in turn; an answer of nothing is the floor."""
    asked = {
        "workflows, 100": "/api/v1/workflows?limit=100",
        "workflow": "/api/v1/workflows/team00.job0000",
        "runs, 100": "/api/v1/runs?limit=100",
        "runs of a workflow, 120": "/api/v1/runs?workflow=team00.job0000&limit=120",
        "failed runs of a workflow": "/api/v1/runs?workflow=team00.job0000&state=failed&state=crashed&limit=14",
        "failed runs, 100": "/api/v1/runs?state=failed&limit=100",
        "a run": f"/api/v1/runs/{served.run}?tasks=0",
        "days": "/api/v1/workflows/team00.job0000/days?tz=Europe/Berlin",
        "signals": "/api/v1/workflows/team00.job0001/signals",
        "activity": "/api/v1/activity",
        "slots": "/api/v1/slots?workflow=team00.job0000&limit=200",
        "incidents": "/api/v1/incidents?state=open",
        "logs of a run": f"/api/v1/runs/{served.run}/logs?plain=1&limit=500",
        "work of a run": f"/api/v1/runs/{served.run}/work",
        "history of a run": f"/api/v1/runs/{served.run}/history",
        "attributes of a run": f"/api/v1/runs/{served.run}/attributes",
    }
    rounds = share(_ASKED, effort, 5)
    taken: dict[str, list[float]] = {name: [] for name in [*asked, "nothing"]}
    for _ in range(rounds):
        for name, path in [*asked.items(), ("nothing", "/healthz")]:
            taken[name].append(_ask(served.collector, path))
    floor = (statistics.median(taken.pop("nothing")),)
    every = [value for values in taken.values() for value in values]
    figures = [Figure("API, p95 of all", "rota", "ms", (_p95(every),), "an empty answer", floor, "ratio", "api.p95", False, note)]
    return figures + [
        Figure(f"API: {name}, p95", "rota", "ms", (_p95(values),), "an empty answer", floor, "ratio")
        for name, values in taken.items()
    ]


def _ask(collector: servers.Collector, path: str) -> float:
    began = time.perf_counter()
    answer: Any = collector.ask(path)
    assert answer is not None
    return (time.perf_counter() - began) * 1000


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]
