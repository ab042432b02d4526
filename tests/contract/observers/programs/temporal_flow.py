"""Workflows of Temporal's, by the names of scenarios, with its development server beside; then a look from outside."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
QUEUE = "flow"
started = asyncio.Event()


@activity.defn
async def extract(scenario: str, part: int = 0) -> None:
    """The first activity."""
    if scenario in ("cancel", "terminate"):
        started.set()
        for _ in range(600):
            activity.heartbeat()
            await asyncio.sleep(0.1)
    if scenario == "upstream" or (scenario == "retry" and activity.info().attempt == 1):
        raise ApplicationError("row 7", type="ValueError", non_retryable=scenario == "upstream")


@activity.defn
async def load(scenario: str) -> None:
    """The last one."""
    if scenario == "failure":
        raise ApplicationError("row 7", type="ValueError", non_retryable=True)


@workflow.defn(dynamic=True)
class Flow:
    """As its type says."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        """Extract, then load."""
        scenario = workflow.info().workflow_type
        if scenario == "again" and not workflow.info().continued_run_id:
            workflow.continue_as_new()
        how = {
            "start_to_close_timeout": timedelta(seconds=60), "heartbeat_timeout": timedelta(seconds=5),
            "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=3),
        }  # fmt: skip
        parts = range(3 if scenario == "fan_out" else 1)
        await asyncio.gather(*(workflow.execute_activity(extract, args=[scenario, part], **how) for part in parts))
        await workflow.execute_activity(load, scenario, **how)


async def do(client, scenario):
    """One scenario, to its end."""
    if scenario == "schedule":
        action = ScheduleActionStartWorkflow(scenario, id=scenario, task_queue=QUEUE)
        nightly = ScheduleSpec(cron_expressions=["0 2 * * *"], time_zone_name="Europe/Berlin")
        schedule = await client.create_schedule("nightly", Schedule(action=action, spec=nightly))
        await schedule.trigger()
        return
    handle = await client.start_workflow(scenario, id=scenario, task_queue=QUEUE)
    if scenario in ("cancel", "terminate"):
        await started.wait()
        started.clear()
        await (handle.cancel() if scenario == "cancel" else handle.terminate("enough"))
    try:
        await handle.result()
    except WorkflowFailureError as error:
        sys.stderr.write("%s: %r\n" % (scenario, error.cause))


async def connected(address):
    """The client, when the server is up."""
    for _ in range(600):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server does not answer")


async def main(address):
    """All scenarios in turn, until the server lists them as closed."""
    client = await connected(address)
    activities, runner = [extract, load], UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=QUEUE, workflows=[Flow], activities=activities, workflow_runner=runner):
        for scenario in SCENARIOS:
            await do(client, scenario)
        while (await client.count_workflows("ExecutionStatus != 'Running'")).count < len(SCENARIOS) + ("again" in SCENARIOS):
            await asyncio.sleep(0.1)


def look(address):
    """What `rota observe temporal` does."""
    command = "import sys; from rota.cli import main; sys.exit(main(['observe', 'temporal', '--once', '--address', sys.argv[1]]))"
    subprocess.run([sys.executable, "-c", command, address], check=True)


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = os.path.join(os.path.dirname(sys.executable), "temporal")
    command = [server, "server", "start-dev", "--headless", "--port", port, "--log-level", "never"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            asyncio.run(main("127.0.0.1:" + port))
            for _ in range(int(os.environ.get("LOOKS", "1"))):
                look("127.0.0.1:" + port)
        finally:
            process.terminate()
    sys.stdout.flush()
    os._exit(0)  # one in ten runs crashes while the interpreter is taken down, with threads of Temporal's core still in it
