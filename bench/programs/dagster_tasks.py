"""Runs a job of so many ops in this process."""

import sys

import bodies
from dagster import job, op


@op
def each():
    bodies.body()


@job
def many():
    for number in range(int(sys.argv[1])):
        each.alias(f"each_{number}")()


many.execute_in_process()
bodies.tell()
