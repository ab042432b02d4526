"""A flow of Luigi's, by the name of a scenario. With one line for rota."""

import os
import sys
import time

import luigi

if os.environ.get("OBSERVED") != "no":
    import rota_integrations.luigi  # noqa: F401

SCENARIO, FOLDER, UP = sys.argv[1], sys.argv[2], "up\n"
PARTS = {"fan_out": 3, "many": int(os.environ.get("TASKS", "200"))}.get(SCENARIO, 1)


class Step(luigi.Task):
    """Leaves a file."""

    def output(self):
        """That file."""
        return luigi.LocalTarget(os.path.join(FOLDER, self.task_id))

    def done(self):
        """Leave it."""
        with self.output().open("w") as file:
            file.write("done")


class extract(Step):  # noqa: N801
    """The first task."""

    part = luigi.IntParameter(default=0)

    def run(self):
        """As the scenario wants it."""
        mark = os.path.join(FOLDER, "tried")
        if SCENARIO in ("cancel", "killed"):
            sys.stdout.write(UP)
            sys.stdout.flush()
            time.sleep(60)
        if SCENARIO == "upstream" or (SCENARIO == "retry" and not os.path.exists(mark)):
            open(mark, "w").close()
            raise ValueError("row 7")
        self.done()


class load(Step):  # noqa: N801
    """The last one."""

    def requires(self):
        """The first."""
        return [extract(part=part) for part in range(PARTS)]

    def run(self):
        """As the scenario wants it."""
        if SCENARIO == "failure":
            raise ValueError("row 7")
        self.done()


if __name__ == "__main__":
    config = luigi.configuration.get_config()
    for section, key, value in (
        ("worker", "keep_alive", str(SCENARIO == "retry")),
        ("worker", "wait_interval", "0.1"),
        ("worker", "wait_jitter", "0.1"),
        ("scheduler", "retry_delay", "0.1"),
        ("scheduler", "retry_count", "3" if SCENARIO == "retry" else "1"),
    ):
        config.set(section, key, value)
    os.makedirs(FOLDER, exist_ok=True)
    if SCENARIO == "skip":
        load().done()
    began = time.monotonic()
    luigi.build([load()], local_scheduler=True, workers=int(os.environ.get("WORKERS", "1")), log_level="CRITICAL")
    sys.stdout.write(f"{time.monotonic() - began}\n")
