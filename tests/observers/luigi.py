"""Luigi: a process does it all, or worker processes that it forks."""

from __future__ import annotations

from observers.system import System, program

NO_SCHEDULE = "Luigi has none: cron starts it"
OF_SEVERAL = "the signal goes to one process of several"

SYSTEMS = {
    "luigi": System(program("luigi"), except_for={"schedule": NO_SCHEDULE}),
    "luigi with worker processes": System(
        program("luigi", WORKERS="3"),
        except_for={"schedule": NO_SCHEDULE, "cancel": OF_SEVERAL, "killed": OF_SEVERAL},
    ),
}
