"""An account at Step Functions that does what moto's server does not: it pages, throttles, forgets and redrives.

Shapes and limits are those of botocore's own model of the service (``botocore/data/stepfunctions/2016-11-23/service-2.json``).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

START = 1_790_000_000.0
REGION = "arn:aws:states:eu-central-1:123456789012"


class Gone(ClientError):
    """ExecutionDoesNotExist."""


def at(seconds: float) -> datetime:
    """After the start of the first execution."""
    return datetime.fromtimestamp(START + seconds, UTC)


def history(text: str) -> list[dict[str, Any]]:
    """Events of lines ``id previous seconds Type [name=value…]``; a name that ends in a dot is of numbers."""
    events = []
    for line in text.strip().splitlines():
        number, before, seconds, kind, *pairs = line.split()
        event: dict[str, Any] = {"id": int(number), "previousEventId": int(before), "timestamp": at(float(seconds)), "type": kind}
        details = dict(pair.split("=", 1) for pair in pairs)
        if details:
            told = {name.rstrip("."): int(value) if name.endswith(".") else value for name, value in details.items()}
            event["somethingEventDetails"] = told
        events.append(event)
    return events


class Account:
    """A client of boto3's, as far as the observer asks."""

    def __init__(self, page_size: int = 2) -> None:
        self.exceptions = SimpleNamespace(ExecutionDoesNotExist=Gone)
        self.machines: dict[str, dict[str, dict[str, Any]]] = {}
        self.page_size = page_size
        self.throttles = 0  # how many of the next calls are refused
        self.tokens: float = float("inf")  # how many histories may be read before that is refused
        self.refused: set[str] = set()  # operations that are, once
        self.asked: Counter[str] = Counter()

    def runs(self, machine: str, name: str, status: str, events: list[dict[str, Any]], seconds: float = 0) -> None:
        """An execution, as it is now."""
        arn = f"{REGION}:execution:{machine}:{name}"
        found = {"executionArn": arn, "status": status, "startDate": at(seconds), "events": events, "name": name}
        self.machines.setdefault(f"{REGION}:stateMachine:{machine}", {})[arn] = found

    def list_state_machines(self, **wanted: Any) -> dict[str, Any]:
        self._count("list_state_machines")
        found = [{"stateMachineArn": arn, "name": arn.rpartition(":")[2], "type": "STANDARD"} for arn in self.machines]
        express = {"stateMachineArn": f"{REGION}:stateMachine:quick", "name": "quick", "type": "EXPRESS"}
        return self._page("stateMachines", [*found, express], wanted)

    def list_executions(self, **wanted: Any) -> dict[str, Any]:
        self._count("list_executions")
        assert not wanted["stateMachineArn"].endswith(":quick"), "StateMachineTypeNotSupported"
        found = sorted(self.machines[wanted["stateMachineArn"]].values(), key=lambda each: each["startDate"], reverse=True)
        status = wanted.get("statusFilter")
        return self._page("executions", [each for each in found if status in (None, each["status"])], wanted)

    def get_execution_history(self, **wanted: Any) -> dict[str, Any]:
        self._count("get_execution_history")
        assert wanted["includeExecutionData"] is False
        return self._page("events", self._known(wanted["executionArn"])["events"][:: -1 if wanted["reverseOrder"] else 1], wanted)

    def describe_execution(self, **wanted: Any) -> dict[str, Any]:
        self._count("describe_execution")
        return self._known(wanted["executionArn"])

    def describe_state_machine_for_execution(self, **wanted: Any) -> dict[str, Any]:
        self._count("describe_state_machine_for_execution")
        return {"definition": '{"StartAt": "extract", "States": {"extract": {"Type": "Task", "End": true}}}'}

    def _known(self, arn: str) -> dict[str, Any]:
        for executions in self.machines.values():
            if arn in executions and executions[arn]["events"] is not None:
                return executions[arn]
        raise Gone({"Error": {"Code": "ExecutionDoesNotExist", "Message": arn}}, "any")

    def _count(self, operation: str) -> None:
        self.tokens -= operation == "get_execution_history"
        if self.throttles or self.tokens < 0 or operation in self.refused:
            self.throttles = max(0, self.throttles - 1)
            self.refused.discard(operation)
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)
        self.asked[operation] += 1

    def _page(self, part: str, found: list[Any], wanted: dict[str, Any]) -> dict[str, Any]:
        first = int(wanted.get("nextToken", 0))
        page = {part: found[first : first + self.page_size]}
        return page | ({"nextToken": str(first + self.page_size)} if first + self.page_size < len(found) else {})


class Messages:
    """A client of SQS, with a queue of a rule of EventBridge."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}  # by receipt handle
        self.given: set[str] = set()

    def put(self, body: str) -> None:
        """A message."""
        self.bodies[f"handle-{len(self.bodies)}"] = body

    def changed(self, machine: str, name: str, status: str, seconds: float = 0) -> None:
        """The event of AWS's documentation ("Automating Step Functions event delivery with EventBridge")."""
        execution = f"{REGION}:execution:{machine}:{name}"
        detail = {
            "executionArn": execution, "stateMachineArn": f"{REGION}:stateMachine:{machine}", "name": name, "status": status,
            "startDate": int((START + seconds) * 1000), "stopDate": None, "input": "{}", "inputDetails": {"included": True},
            "output": None, "outputDetails": None,
        }  # fmt: skip
        event = {"version": "0", "detail-type": "Step Functions Execution Status Change", "source": "aws.states"}
        self.put(json.dumps(event | {"resources": [execution], "detail": detail}))

    def receive_message(self, QueueUrl: str, MaxNumberOfMessages: int) -> dict[str, Any]:  # noqa: N803
        page = [handle for handle in self.bodies if handle not in self.given][:MaxNumberOfMessages]
        self.given |= set(page)
        return {"Messages": [{"Body": self.bodies[handle], "ReceiptHandle": handle} for handle in page]} if page else {}

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> None:  # noqa: N803
        assert len(Entries) <= 10
        for each in Entries:
            del self.bodies[each["ReceiptHandle"]]

    def again(self) -> None:
        """Whatever was read and not deleted is visible again."""
        self.given = set()
