"""``make screenshots``: takes the pictures of the dashboard in ``docs/pictures``, each in light, dark and on a phone.

The history is made up by ``bench.history``, and what happens now by ``bench.present``; what is seen is the real dashboard over a
real collector, in the system's Chromium.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bench import history, present, servers
from bench.history import Story
from bench.present import Present
from PIL import Image
from playwright.sync_api import Browser, Playwright, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK, "device_scale_factor": 1.5, "color_scheme": "light"},
    "dark": {"viewport": DESK, "device_scale_factor": 1.5, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "device_scale_factor": 2, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}
ZONE = ZoneInfo("Europe/Berlin")  # where the person sits who looks
SETTLED_MS = 1500  # what moves into its place has moved, and two rounds of asking are over


class Shot(NamedTuple):
    """A picture: its name, the address, what has to be seen before it is taken, and how high it is on a desk, in CSS pixels."""

    name: str
    path: str
    wanted: str
    height: int = 900


def shots(story: Story, now: Present) -> list[Shot]:
    """What is worth a picture."""
    return [
        Shot("overview", "/", ".workflows .row"),
        Shot("workflow", "/workflow?name=billing.dunning", ".runs .row", 1300),
        Shot("run", f"/run?id={story.failed_run}", ".waterfall .label", 1300),
        Shot("timeline", f"/timeline?day={datetime.now(ZONE) - timedelta(days=1):%Y-%m-%d}&at=04:05", ".lane"),  # a whole day
        Shot("incidents", "/incidents", ".panel .name"),
        Shot("incident", f"/incident?id={story.incidents['missed']}", ".cause"),
        Shot("spectrum", "/spectrum?order=high", ".spectrum .row"),
        Shot("policy", f"/policy?name={story.missed_workflow}&to=retry", ".versions summary", 1300),
        Shot("approvals", "/approvals", ".asks", 420),
        Shot("permission", f"/run?id={now.retried}", ".decisions details", 1150),
    ]


def launch(playwright: Playwright, chromium: str) -> Browser:
    """The system's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--lang=en-GB"])


def take(browser: Browser, base: str, shot: Shot, looks: Iterable[str] = LOOKS) -> Iterator[tuple[str, bytes]]:
    """Each look of it, and its PNG."""
    for look in looks:
        options = LOOKS[look]
        context = browser.new_context(**options, timezone_id=ZONE.key, locale="en-GB")
        page = context.new_page()
        if options["viewport"] is DESK:
            page.set_viewport_size({"width": DESK["width"], "height": shot.height})
        page.goto(base + shot.path)
        page.locator(shot.wanted).first.wait_for()
        page.wait_for_timeout(SETTLED_MS)
        yield look, page.screenshot()
        context.close()


def save(png: bytes, path: Path) -> None:
    """Without loss, and a third of the size."""
    Image.open(io.BytesIO(png)).convert("RGB").save(path, "webp", lossless=True, method=6)


def main() -> int:
    """All of them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("screenshots: chromium is missing: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        story = history.make(home)
        with servers.collector(home) as collector, servers.dashboard(collector) as (url, _):
            now = present.tell(collector.url)
            browser = launch(playwright, chromium)
            for shot in shots(story, now):
                for look, png in take(browser, url, shot):
                    save(png, PICTURES / f"{shot.name}-{look}.webp")
                    print(f"{shot.name}-{look}.webp", flush=True)
            browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
