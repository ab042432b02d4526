"""Calls a task so many times in one flow run, which the server at PREFECT_API_URL is told of."""

import sys

import bodies
from prefect import flow, task


@task
def each():
    bodies.body()


@flow
def many(calls):
    for _ in range(calls):
        each()


many(int(sys.argv[1]))
bodies.tell()
