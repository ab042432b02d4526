"""EventBridge's word that an execution began or ended: a rule puts it into an SQS queue, and who looks need not list executions.

The rule's pattern is ``{"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}``.
"""

from __future__ import annotations

import json
from typing import Any

_MOST = 100  # requests a look; ten messages each


class Queue:
    """The queue. What was read and not forgotten comes again, as SQS has it.

    Args:
        client: boto3's of SQS.
        url: of the queue.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url
        self._read: list[str] = []

    def read(self) -> dict[str, dict[str, int]]:
        """By state machine, and by execution, when it began (ms): those that changed. ARNs both."""
        found: dict[str, dict[str, int]] = {}
        self._read = []
        for _ in range(_MOST):
            messages = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages") or []
            for message in messages:
                self._read.append(message["ReceiptHandle"])
                change = _change(message["Body"])
                if change is not None:
                    found.setdefault(change[0], {})[change[1]] = change[2]
            if not messages:
                break
        return found

    def forget(self) -> None:
        """All that was read is told."""
        for first in range(0, len(self._read), 10):
            entries = [{"Id": str(number), "ReceiptHandle": each} for number, each in enumerate(self._read[first : first + 10])]
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        self._read = []


def _change(body: str) -> tuple[str, str, int] | None:
    """Of a message; None for one that says something else."""
    try:
        event = json.loads(body)
        if event["source"] != "aws.states":
            return None
        detail = event["detail"]
        return str(detail["stateMachineArn"]), str(detail["executionArn"]), int(detail["startDate"])
    except (ValueError, KeyError, TypeError):
        return None
