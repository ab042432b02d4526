"""Executes an activity so many times in one workflow, through the server at the address of the second argument."""

import asyncio
import os
import sys
import uuid
from datetime import timedelta

import bodies
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bench"


@activity.defn
async def each():
    bodies.body()


@workflow.defn
class Many:
    @workflow.run
    async def run(self, calls: int):
        for _ in range(calls):
            await workflow.execute_activity(each, start_to_close_timeout=timedelta(seconds=30))


async def main():
    client = await Client.connect(sys.argv[2])
    async with Worker(client, task_queue=QUEUE, workflows=[Many], activities=[each]):
        await client.execute_workflow(Many.run, int(sys.argv[1]), id=str(uuid.uuid4()), task_queue=QUEUE)


if __name__ == "__main__":  # the worker reads this file again, in a sandbox
    asyncio.run(main())
    bodies.tell()
    sys.stdout.flush()
    os._exit(0)  # one in ten runs crashes while the interpreter is taken down, with threads of Temporal's core still in it
