"""Flows of Flyte's, by the names of scenarios. With one line for rota."""

import asyncio
import dataclasses
import logging
import os
import sys
import time
from datetime import timedelta

import flyte

if os.environ.get("OBSERVED") != "no":
    import rota_integrations.flyte  # noqa: F401

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
PARTS = {"fan_out": 3, "many": int(os.environ.get("TASKS", "200"))}
BACKOFF = flyte.Backoff(base=timedelta(milliseconds=10), factor=1.0)
environment = flyte.TaskEnvironment(name="flow")


def task(name=None, **options):
    """A task of that name, without its environment's before it."""
    return lambda function: dataclasses.replace(environment.task(**options)(function), name=name or function.__name__)


def fails():
    """As a script does."""
    raise ValueError("row 7")


@task(retries=flyte.RetryStrategy(count=2, backoff=BACKOFF))
async def extract(scenario: str, part: int) -> int:
    """The first task."""
    mark = os.path.join(FOLDER, "tried")
    if scenario in ("cancel", "killed"):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await asyncio.sleep(60)
    if scenario == "upstream":
        raise flyte.errors.NonRecoverableError("row 7")
    if scenario == "retry" and not os.path.exists(mark):
        open(mark, "w").close()
        fails()
    return part


@task()
async def load(scenario: str, parts: list[int]) -> int:
    """The last one."""
    if scenario == "failure":
        fails()
    return sum(parts)


@task("load", cache="auto")
async def load_once(folder: str) -> str:
    """The last one, which is there already the second time."""
    return folder


async def flow(scenario: str) -> None:
    """Both."""
    if scenario == "skip":
        await load_once(FOLDER)
        return
    parts = [extract(scenario, part) for part in range(PARTS.get(scenario, 1))]
    await load(scenario, list(await asyncio.gather(*parts)))


def run(scenario, name):
    """A run, whose workflow has that name."""
    try:
        flyte.with_runcontext(mode="local", raw_data_path=os.path.join(FOLDER, "raw")).run(task(name)(flow), scenario)
    except flyte.errors.RuntimeUserError:
        pass


if __name__ == "__main__":
    logging.getLogger("flyte").setLevel(logging.CRITICAL)
    os.makedirs(FOLDER, exist_ok=True)
    if "many" in SCENARIOS:
        run("success", "before")  # what Flyte imports at its first run
    began = time.monotonic()
    for each in SCENARIOS:
        if each == "skip":
            run(each, "before")
        run(each, each)
    sys.stdout.write(f"{time.monotonic() - began}\n")
