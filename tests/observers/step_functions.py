"""AWS Step Functions: moto executes state machines and keeps their histories, `rota observe` looks on from outside."""

from __future__ import annotations

from observers.system import System, program

SYSTEMS = {
    "step functions": System(
        program("step_functions"),
        except_for={
            "skip": "an execution does what its machine says: it is never skipped",
            "killed": "an execution is nobody's process: it ends, times out or is stopped",
        },
        instead={"upstream": {"error": {"extract": "SQS.SdkClientException: The specified queue does not exist."}}},
        together=("success", "failure", "retry", "upstream", "cancel", "fan_out", "schedule"),
        tells_schedules=True,
    ),
}
