"""A worker of Celery's and what it is sent, by the names of scenarios; POOL says how it executes. With one line for rota."""

import os
import sys
import threading
import time

from celery import Celery, chain, chord
from celery.beat import Scheduler
from celery.exceptions import Ignore
from celery.schedules import crontab

if os.environ.get("OBSERVED") != "no":
    import rota_integrations.celery  # noqa: F401

SCENARIOS, FOLDER, POOL = sys.argv[1].split(), sys.argv[2], os.environ.get("POOL", "prefork")
for name in ("queue", "control", "results"):
    os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
app = Celery("flow", broker="filesystem://", backend="file://" + os.path.join(FOLDER, "results"))
queue = os.path.join(FOLDER, "queue")
app.conf.update(
    broker_transport_options={
        "data_folder_in": queue,
        "data_folder_out": queue,
        "control_folder": os.path.join(FOLDER, "control"),
    },
    timezone="Europe/Berlin",
    broker_connection_retry_on_startup=True,
    beat_schedule={"nightly": {"task": "schedule", "schedule": crontab(minute="0", hour="2")}},
    worker_hijack_root_logger=False,
)


@app.task(bind=True, name="extract")
def extract(self, scenario, part=0):
    """The first task."""
    if scenario in ("cancel", "killed"):
        with open(os.path.join(FOLDER, "up"), "w") as file:
            file.write(self.request.id)
        sys.__stdout__.write("up\n")
        sys.__stdout__.flush()
        time.sleep(60)
    if scenario == "upstream":
        raise ValueError("row 7")
    if scenario == "retry" and not self.request.retries:
        raise self.retry(exc=ValueError("row 7"), countdown=0)


@app.task(name="load")
def load(scenario):
    """The last one."""
    if scenario == "failure":
        raise ValueError("row 7")
    if scenario == "skip":
        open(os.path.join(FOLDER, "skipped"), "w").close()
        raise Ignore


def flow(self):
    """What the scenario is made of takes the place of its task."""
    scenario = self.name
    if scenario == "fan_out":
        return self.replace(chord([extract.si(scenario, part) for part in range(3)], load.si(scenario)))
    return self.replace(chain(extract.si(scenario), load.si(scenario)))


@app.task(name="step")
def step():
    """Leaves a byte, so that they can be counted."""
    with open(os.path.join(FOLDER, "steps"), "ab") as file:
        file.write(b".")


@app.task(name="many")
def many(count):
    """Sends so many."""
    for _ in range(count):
        step.delay()


for each in SCENARIOS:
    if each != "many":
        app.task(flow, bind=True, name=each)


def send():
    """Each scenario once; beat sends the one that it has a schedule for. Returns their results."""
    return [by_beat() if each == "schedule" else app.tasks[each].delay() for each in SCENARIOS]


def by_beat():
    """What beat does when a time has come."""
    scheduler = Scheduler(app=app)
    (entry,) = [entry for entry in scheduler.schedule.values() if entry.task == "schedule"]
    return scheduler.apply_async(entry)


def is_over(scenario, result):
    """Whether nothing more will come of it."""
    if scenario == "skip":  # Celery keeps no word of it
        return os.path.exists(os.path.join(FOLDER, "skipped"))
    if scenario != "cancel":
        return result.state in ("SUCCESS", "FAILURE")
    revoked = os.path.join(FOLDER, "revoked")
    if os.path.exists(os.path.join(FOLDER, "up")) and not os.path.exists(revoked):
        with open(os.path.join(FOLDER, "up")) as file:
            app.control.revoke(file.read(), terminate=True)
        open(revoked, "w").close()
    return os.path.exists(revoked)


def stop_when_over(results):
    """A warm shutdown, as TERM asks for."""
    while not all(is_over(scenario, result) for scenario, result in zip(SCENARIOS, results, strict=True)):
        time.sleep(0.1)
    time.sleep(1)
    os.kill(os.getpid(), 15)


def measure(count):
    """How long so many tasks of one run take; then as above."""
    begun = time.monotonic()
    many.delay(count)
    path = os.path.join(FOLDER, "steps")
    while not os.path.exists(path) or os.path.getsize(path) < count:
        time.sleep(0.01)
    sys.__stdout__.write("%f\n" % (time.monotonic() - begun))
    sys.__stdout__.flush()
    os.kill(os.getpid(), 15)


if __name__ == "__main__":
    if SCENARIOS == ["many"]:
        threading.Timer(3, measure, [int(os.environ.get("TASKS", "200"))]).start()
    else:
        threading.Thread(target=stop_when_over, args=[send()], daemon=True).start()
    concurrency = "1" if SCENARIOS == ["many"] else "2"
    how = ["--pool", POOL, "--concurrency", concurrency, "--loglevel", "CRITICAL", "--without-mingle"]
    app.worker_main(["--quiet", "worker", *how])
