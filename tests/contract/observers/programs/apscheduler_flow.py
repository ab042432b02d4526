"""A job of APScheduler's, by the name of a scenario, in the pool that POOL names. With one line for rota."""

import asyncio
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

if os.environ.get("OBSERVED") != "no":
    import rota_integrations.apscheduler  # noqa: F401

SCENARIO, POOL = sys.argv[1], os.environ.get("POOL", "threads")
SOME = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES


def job(scenario):
    """As the scenario wants it."""
    if scenario in ("cancel", "killed"):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        time.sleep(60)
    if scenario == "failure":
        raise ValueError("row 7")


async def coroutine_job(scenario):
    """The same without holding the loop."""
    if scenario in ("cancel", "killed"):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await asyncio.sleep(60)
    job(scenario)


def add(scheduler, scenario, function):
    """The job of a scenario, its id the scenario's name."""
    how = {"misfire_grace_time": 60, "trigger": DateTrigger(datetime.now(UTC))}
    if scenario == "schedule":
        how.update(trigger=CronTrigger(hour=2, timezone="Europe/Berlin"), next_run_time=datetime.now(UTC))
    if scenario == "skip":
        how.update(trigger=DateTrigger(datetime.now(UTC) - timedelta(hours=1)))  # too late
    scheduler.add_job(function, id=scenario, args=[scenario], **how)


def many(count):
    """So many executions of a job that does nothing; prints the seconds that they took."""
    scheduler, left = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)}), threading.Semaphore(0)
    scheduler.add_listener(lambda _: left.release(), EVENT_JOB_EXECUTED)
    for number in range(count):
        scheduler.add_job(job, id="many %d" % number, name="many", args=["many"], misfire_grace_time=None)
    begun = time.monotonic()
    scheduler.start()
    for _ in range(count):
        left.acquire()
    print(time.monotonic() - begun)
    scheduler.shutdown()


async def on_loop(scenarios):
    """In an event loop."""
    scheduler, left = AsyncIOScheduler(), asyncio.Semaphore(0)
    scheduler.add_listener(lambda _: left.release(), SOME)
    for scenario in scenarios:
        add(scheduler, scenario, coroutine_job)
    scheduler.start()
    for _ in scenarios:
        await left.acquire()
    scheduler.shutdown()


def in_pool(scenarios):
    """In threads or processes."""
    pool = ProcessPoolExecutor(1) if POOL == "processes" else ThreadPoolExecutor(1)
    scheduler, left = BackgroundScheduler(executors={"default": pool}), threading.Semaphore(0)
    scheduler.add_listener(lambda _: left.release(), SOME)
    for scenario in scenarios:
        add(scheduler, scenario, job)
    scheduler.start()
    for _ in scenarios:
        left.acquire()
    scheduler.shutdown()


if __name__ == "__main__":
    if SCENARIO == "many":
        many(int(os.environ.get("TASKS", "200")))
    elif POOL == "loop":
        asyncio.run(on_loop(SCENARIO.split()))
    else:
        in_pool(SCENARIO.split())
