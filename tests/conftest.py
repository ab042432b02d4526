"""Fixtures that several kinds of tests share: collectors as real processes, each in a home of its own, and a real browser."""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from certificates import Authority, context_of
from collectors import PATIENCE_SECONDS, CollectorProcess
from hypothesis import HealthCheck, settings

from rota import _guard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytest.register_assert_rewrite("observers.contract")

# Who runs the tests may ignore these (`nohup make test`, a job in the background). A user's command does not begin its life so:
# where we have a handler, a program that we start has the default. The tests themselves go on ignoring them.
for _signal in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, lambda *_: None)

# How long an example takes says how busy the machine is.
settings.register_profile("rota", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rota")


@pytest.fixture(autouse=True)
def _nothing_is_swallowed() -> Iterator[None]:
    """What the SDK's guard swallows in this process, where no user notices it, is an error of the test that caused it."""
    swallowed: list[tuple[str, BaseException]] = []
    before = _guard.listen(lambda where, error: swallowed.append((where, error)))
    yield
    _guard.listen(before)
    assert swallowed == []


QUIET = ("gpu", "background-networking", "component-update", "sync")  # of Chromium: what no test needs


@pytest.fixture
def new_collector(tmp_path: Path) -> Iterator[Callable[..., CollectorProcess]]:
    """Makes collectors (not started) in fresh homes, or in the ``home`` given; whatever still runs at the end is killed."""
    made: list[CollectorProcess] = []
    numbers = itertools.count()

    def make(home: Path | None = None, **settings: str) -> CollectorProcess:
        number = next(numbers)
        made.append(CollectorProcess(home or tmp_path / f"home{number}", tmp_path / f"collector{number}.stderr", **settings))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.fixture
def collector(new_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    """A collector that is ready and empty."""
    return new_collector().start()


@pytest.fixture(scope="module")
def shared_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector for all tests of a module: they only read, or write what disturbs nobody."""
    folder = tmp_path_factory.mktemp("shared")
    found = CollectorProcess(folder / "home", folder / "collector.stderr").start()
    yield found
    found.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the certificates of ``secure`` and of its clients."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector for all tests of a module that wants a client certificate."""
    folder, ours = tmp_path_factory.mktemp("secure"), authority.sign("collector")
    settings = {"ROTA_TLS_CERTIFICATE": str(ours.certificate), "ROTA_TLS_KEY": str(ours.key), "ROTA_GRPC": "127.0.0.1:0"}
    found = CollectorProcess(folder / "home", folder / "stderr", ROTA_TLS_CLIENT_CA=str(authority.certificate), **settings)
    found.tls = context_of(authority, authority.sign("tests"))
    yield found.start()
    found.close()


@pytest.fixture(scope="module")  # while it is open, asyncio takes this thread for one that runs a loop
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright  # half a second, for those who need it

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        options = ["--no-sandbox", *(f"--disable-{each}" for each in QUIET)]
        found = playwright.chromium.launch(executable_path=chromium, args=options)
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
