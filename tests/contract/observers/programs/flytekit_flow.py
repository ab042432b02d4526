"""Workflows of flytekit's, by the names of scenarios. With one line for rota."""

import contextlib
import os
import sys
import time
from typing import List

from flytekit import task, workflow

if os.environ.get("OBSERVED") != "no":
    import rota_integrations.flytekit  # noqa: F401

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
PARTS = {"fan_out": 3, "many": int(os.environ.get("TASKS", "200"))}


def named(entity, name):
    """Without its module's name before it."""
    entity._name, entity._instantiated_in = name, ""
    return entity


@task
def extract(scenario: str, part: int) -> int:
    """The first task."""
    if scenario in ("cancel", "killed"):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        time.sleep(60)
    if scenario == "upstream":
        raise ValueError("row 7")
    return part


@task
def load(scenario: str, parts: List[int]) -> int:
    """The last one."""
    if scenario == "failure":
        raise ValueError("row 7")
    return sum(parts)


@task(cache=True, cache_version="1")
def load_once(folder: str) -> str:
    """The last one, which is there already the second time."""
    return folder


named(extract, "extract")
named(load, "load")
named(load_once, "load")


def run(scenario, name):
    """A run, whose workflow has that name."""

    def flow():
        if scenario == "skip":
            load_once(folder=FOLDER)
            return
        load(scenario=scenario, parts=[extract(scenario=scenario, part=part) for part in range(PARTS.get(scenario, 1))])

    with contextlib.suppress(Exception):
        named(workflow(flow), name)()


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    began = time.monotonic()
    if "many" in SCENARIOS:
        run("success", "before")  # what is imported at the first run
        began = time.monotonic()
    for each in SCENARIOS:
        if each == "skip":
            run(each, "before")
        run(each, each)
    sys.stdout.write(f"{time.monotonic() - began}\n")
