"""Projects of dbt's, by the names of scenarios, each built in a folder of its name. With one word for rota, or none: BY=log."""

import os
import signal
import sys
import time
from pathlib import Path

from dbt.cli.main import dbtRunner

SCENARIOS, FOLDER, UP = sys.argv[1].split(), Path(sys.argv[2]), "up\n"
BY_LOG = os.environ.get("BY") == "log"

PROFILES = "shop: {target: dev, outputs: {dev: {type: duckdb, path: '%s', threads: 2}}}"
PROJECT = """
name: shop
profile: shop
flags: {send_anonymous_usage_stats: false}
models: {+materialized: table}
"""
EXTRACT = """
def wait(main):
    main.sys.stdout.write(main.UP)
    main.sys.stdout.flush()
    while not main.stopped:
        main.time.sleep(0.05)

def model(dbt, session):
    import __main__ as main
    if main.scenario == "upstream" or (main.scenario == "retry" and not main.tried):
        main.tried.append(1)
        main.fail()
    if main.scenario in ("cancel", "killed"):
        wait(main)
    return session.sql("select 1 as id")
"""
BATCHES = """
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', begin='2026-01-01',
          batch_size='day') }}
select 1 as id, timestamp '2026-01-02' as day
"""
LOAD = "select {{ \"error('row 7')\" if env_var('SCENARIO') == 'failure' else 'count(*)' }} as n from {{ ref('extract') }}"
NOTHING = "select {number} as id"

stopped: list[int] = []
tried: list[int] = []
scenario = ""


def fail():
    """As extract of the scenario ``upstream`` does."""
    raise ValueError("row 7")


def interrupt(number, _):
    """Ctrl-C: as Python has it; and what sleeps in a thread of dbt's wakes up, which dbt waits for."""
    stopped.append(number)
    raise KeyboardInterrupt


def write(folder: Path, models: dict[str, str]) -> None:
    """A project."""
    (folder / "models").mkdir(parents=True)
    (folder / "profiles.yml").write_text(PROFILES % (folder / "shop.duckdb"))
    (folder / "dbt_project.yml").write_text(PROJECT)
    for name, model in models.items():
        (folder / "models" / name).write_text(model)


def models_of(name: str) -> dict[str, str]:
    """What the scenario builds."""
    if name == "many":
        count = int(os.environ.get("TASKS", "200"))
        return {f"m{number}.sql": NOTHING.format(number=number) for number in range(count)}
    return {"load.sql": LOAD, **({"extract.sql": BATCHES} if name == "fan_out" else {"extract.py": EXTRACT})}


def build(name: str) -> float:
    """Seconds that the build took."""
    global scenario
    scenario = os.environ["SCENARIO"] = name
    folder = FOLDER / name
    write(folder, models_of(name))
    callbacks = []
    if not BY_LOG and os.environ.get("OBSERVED") != "no":
        import rota_integrations.dbt

        callbacks = [rota_integrations.dbt.Observer(name)]
    where = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--log-path", str(folder / "logs")]
    what = {"skip": ["--select", "nothing"], "fan_out": ["--event-time-start", "2026-01-01", "--event-time-end", "2026-01-04"]}
    began = time.monotonic()
    runner = dbtRunner(callbacks=callbacks)
    runner.invoke(["--quiet", "build", *where, *what.get(name, [])])
    if name == "retry":
        sys.argv = ["dbt", "retry"]  # by which its log knows the command
        runner.invoke(["--quiet", "retry", *where])
    return time.monotonic() - began


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupt)
    for each in SCENARIOS:
        seconds = build(each)
    sys.stdout.write(f"{seconds}\n")
