"""``make observed``: a run of each observed system as the dashboard shows it, in ``docs/pictures/observed``.

Each does the scenario ``retry`` of the observers' contract in its own environment, and is seen by a real collector. With names
of systems as arguments: only those.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from bench import servers
from observers import SYSTEMS
from playwright.sync_api import sync_playwright
from screenshots import PICTURES, Shot, launch, save, take

FOLDER = PICTURES / "observed"
PATIENCE_SECONDS = 30.0
SCENARIOS = ("retry", "fan_out", "success")  # the first that a system can do
WANTED = ".waterfall .label, .cause"  # what a run's page has


def run_of(system: str, url: str, home: Path) -> str:
    """Let the system do it; the id of its run in the collector."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("ROTA_", "OTEL_"))}
    told |= {"ROTA_HOME": str(home), "ROTA_ENDPOINT": url, "ROTA_DETACH": "off", "ROTA_AGENT": "off"}
    scenario = next(each for each in SCENARIOS if each not in SYSTEMS[system].except_for)
    home.mkdir(parents=True)
    SYSTEMS[system].run(scenario, home, told)
    subprocess.run([sys.executable, "-m", "rota", "agent", "--once"], env=told, check=True)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        if runs := httpx.get(f"{url}/api/v1/runs", trust_env=False).raise_for_status().json()["items"]:
            return str(runs[-1]["id"])
        time.sleep(0.1)
    raise SystemExit(f"pictured: no run of {system} came within {PATIENCE_SECONDS:g} s")


def main(wanted: list[str]) -> int:
    """A picture each."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("pictured: chromium is missing: apt-get install chromium", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = wanted or [name for name in SYSTEMS if " with " not in name]
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        for name in names:
            with (
                tempfile.TemporaryDirectory() as folder, servers.collector(Path(folder) / "home") as collector,
                servers.dashboard(collector) as (url, _),
            ):  # fmt: skip  # one each: all have workflows of the same names
                shot = Shot(name, f"/run?id={run_of(name, collector.url, Path(folder) / name)}", WANTED)
                for _, png in take(browser, url, shot, ["light"]):
                    save(png, FOLDER / f"{name.replace(' ', '-')}.webp")
            print(name, flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
