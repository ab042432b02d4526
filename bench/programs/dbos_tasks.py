"""Calls a step so many times in one workflow, kept in the SQLite file of the second argument."""

import sys

import bodies
from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{sys.argv[2]}", "run_admin_server": False})


@DBOS.step()
def each():
    bodies.body()


@DBOS.workflow()
def many(calls):
    for _ in range(calls):
        each()


DBOS.launch()
many(int(sys.argv[1]))
DBOS.destroy()
bodies.tell()
