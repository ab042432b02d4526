"""AWS Step Functions, from outside: ``rota observe step_functions`` looks at the executions of an account's state machines.

Seen: each execution of a standard state machine is a run of the workflow of the machine's name; its states are tasks, those of a
map once an iteration, with attempts and errors; what never ran since a state before it failed; a redrive as another attempt; the
machine's schedule. Inputs and outputs are not asked for. Express executions keep no history, so they are not seen.

Credentials, region and endpoint are boto3's own: its environment and files. Tested with boto3 1.44.
"""

from __future__ import annotations

import argparse
import fnmatch
import time
from typing import Any, Iterator, Mapping

from rota.errors import UsageError
from rota.foreign import Source
from rota_integrations.following import Later, Seldom, add_since
from rota_integrations.needs import needed
from rota_integrations.states import table_of
from rota_integrations.step_functions.events import Queue
from rota_integrations.step_functions.history import Execution, unix_ns
from rota_integrations.step_functions.schedules import Schedules

boto3 = needed("step-functions", "boto3", "1.34")

_OVERLAP_MS = 300_000  # lists of executions are consistent eventually
_LIST_SECONDS = 600.0  # between lists of executions where a queue says what changes
_SCHEDULES_SECONDS = 600.0  # how long a schedule that was read is believed
_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which machines, and how far back."""
    parser.add_argument("--machine", action="append", metavar="NAME", help="one machine, or a pattern: sales-*; may be repeated")
    add_since(parser)
    parser.add_argument("--queue", metavar="URL", help="of SQS, into which EventBridge puts changes of executions")
    parser.add_argument("--no-schedules", action="store_true", help="ask neither EventBridge nor its Scheduler")


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the machines that these options name.

    Raises:
        UsageError: boto3 does not know which region, or there is no such profile.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(retries={"mode": "standard", "max_attempts": 3}, user_agent_extra="rota")
    services = ("stepfunctions", "scheduler", "events", "sqs")
    try:
        session = boto3.Session()
        client, scheduler, events, sqs = (session.client(service, config=config) for service in services)
    except BotoCoreError as error:
        raise UsageError("boto3 says: %s Set AWS_REGION, or AWS_PROFILE to a profile that has one" % error) from error
    schedules = None if options.no_schedules else Schedules(scheduler, events)
    queue = Queue(sqs, options.queue) if options.queue else None
    wanted = tuple(options.machine or ("*",))
    where = " ".join((session.profile_name, client.meta.region_name, client.meta.endpoint_url, *sorted(wanted)))
    return Follower(client, schedules, wanted, options.since, where, queue)


class Follower:
    """Looks at state machines. What it read of open executions it keeps; after a restart that is read again, and told again.

    Args:
        client: boto3's of Step Functions.
        schedules: None: they are not asked for.
        wanted: patterns of machines' names.
        since_seconds: how far back the first look goes; executions that still run are seen however old they are.
        where: tells this place from others that the same host looks at.
        queue: says which executions change; they are listed now and then only.
    """

    def __init__(
        self, client: Any, schedules: Schedules | None, wanted: tuple[str, ...], since_seconds: float, where: str = "",
        queue: Queue | None = None,
    ) -> None:  # fmt: skip
        self.where = where
        self._client, self._schedules, self._wanted, self._since_seconds = client, schedules, wanted, since_seconds
        self._queue, self._listed_at = queue, float("-inf")
        self._source, self._states = Source("step_functions"), table_of("step_functions")
        self._open: dict[str, Execution] = {}
        self._over: set[str] = set()  # told to their end in a look that was not finished
        self._schedules_of = Seldom(self._read_schedules, _SCHEDULES_SECONDS)
        self._machines: dict[str, str] = {}

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: of each machine's ARN: the start of its ``newest`` execution (ms), and those that are ``open`` and ``done``.

        Raises:
            Later: AWS throttles.
            botocore.exceptions.ClientError: AWS refuses.
        """
        from botocore.exceptions import ClientError

        try:
            self._look(memory)
        except ClientError as error:
            if _code(error) in _THROTTLED:
                raise Later from error
            raise

    def schedules(self) -> dict[str, dict[str, str]]:
        """Those of the machines."""
        return {self._machines[arn]: declared for arn, declared in self._schedules_of().items() if arn in self._machines}

    def _look(self, memory: dict[str, Any]) -> None:
        changed = self._queue.read() if self._queue is not None else {}
        is_time = self._queue is None or time.monotonic() - self._listed_at > _LIST_SECONDS
        if is_time:
            self._machines = {each["stateMachineArn"]: each["name"] for each in self._list_machines()}
            for arn in set(memory) - set(self._machines):
                del memory[arn]
        for arn in changed:
            if self._is_wanted(_name(arn)):
                self._machines.setdefault(arn, _name(arn))
        for arn, name in self._machines.items():
            known = memory.setdefault(arn, {"newest": self._first_ms(), "open": {}, "done": {}})
            self._look_at(arn, name, known, changed.get(arn, {}), is_time=is_time)
        self._over.clear()
        if self._queue is not None:
            self._queue.forget()
            self._listed_at = time.monotonic() if is_time else self._listed_at

    def _list_machines(self) -> Iterator[dict[str, Any]]:
        for each in self._each("list_state_machines", "stateMachines", maxResults=1000):
            if each["type"] != "EXPRESS" and self._is_wanted(each["name"]):
                yield each

    def _is_wanted(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._wanted)

    def _first_ms(self) -> int:
        return int((time.time() - self._since_seconds) * 1000)

    def _read_schedules(self) -> Mapping[str, dict[str, str]]:
        return self._schedules.read(set(self._machines)) if self._schedules is not None else {}

    # -- one machine ---------------------------------------------------------------------------------------------------

    def _look_at(self, machine: str, name: str, known: dict[str, Any], changed: dict[str, int], *, is_time: bool) -> None:
        found = {**known["open"], **changed}
        running = self._listed(machine, known, found) if is_time else set(found)
        for arn, began in found.items():
            self._follow(machine, name, arn, began, known, is_running=arn in running)
        known["newest"] = max([known["newest"], *found.values()])
        known["done"] = {arn: began for arn, began in known["done"].items() if began >= known["newest"] - _OVERLAP_MS}

    def _listed(self, machine: str, known: dict[str, Any], found: dict[str, int]) -> set[str]:
        """Adds those that are new, or run; returns those that run."""
        running = {each["executionArn"]: _ms(each["startDate"]) for each in self._list(machine, statusFilter="RUNNING")}
        found.update(running)
        for each in self._list(machine, maxResults=100):
            began = _ms(each["startDate"])
            if began < known["newest"] - _OVERLAP_MS:
                break
            if each["executionArn"] not in known["done"]:
                found[each["executionArn"]] = began
        return set(running)

    def _list(self, machine: str, **more: Any) -> Iterator[dict[str, Any]]:
        yield from self._each("list_executions", "executions", stateMachineArn=machine, **more)

    def _follow(self, machine: str, name: str, arn: str, began: int, known: dict[str, Any], *, is_running: bool) -> None:
        if arn in self._over and not is_running:
            known["done"][arn] = began
            return
        execution = self._open.get(arn)
        if execution is None:
            declared = self._schedules_of().get(machine, {})
            facts = {"aws.step_functions.state_machine.arn": machine, "aws.step_functions.execution.arn": arn}
            key = (arn, str(began))
            execution = Execution(self._source, self._states, name, key, declared, facts, lambda: self._definition(arn))
            self._open[arn] = execution
        try:
            execution.add(self._events(arn, execution.last_id))
            if not execution.is_over and not is_running:
                answer = self._client.describe_execution(executionArn=arn)
                execution.add(self._events(arn, execution.last_id))  # it may have ended in between
                if not execution.is_over:
                    execution.described(answer)
        except self._client.exceptions.ExecutionDoesNotExist:
            execution.gone(time.time_ns())
        if execution.is_over:
            del self._open[arn]
            known["open"].pop(arn, None)
            known["done"][arn] = began
            self._over.add(arn)
        else:
            known["open"][arn] = began

    def _events(self, arn: str, last_id: int) -> list[dict[str, Any]]:
        """Those after that one; the history is read from its end, as long as it tells something new."""
        found: dict[int, dict[str, Any]] = {}
        wanted = {"executionArn": arn, "reverseOrder": True, "includeExecutionData": False, "maxResults": 1000}
        for page in self._pages("get_execution_history", **wanted):
            found.update({event["id"]: event for event in page["events"] if event["id"] > last_id})
            if any(event["id"] <= last_id for event in page["events"]):
                break
        return [found[number] for number in sorted(found)]

    def _definition(self, arn: str) -> str:
        """Of the machine as it was for that execution."""
        from botocore.exceptions import ClientError

        try:
            return str(self._client.describe_state_machine_for_execution(executionArn=arn)["definition"])
        except ClientError as error:
            if _code(error) in _THROTTLED:
                raise
            return "{}"  # not permitted: what never ran is not known then

    def _each(self, operation: str, part: str, **wanted: Any) -> Iterator[dict[str, Any]]:
        for page in self._pages(operation, **wanted):
            yield from page[part]

    def _pages(self, operation: str, **wanted: Any) -> Iterator[dict[str, Any]]:
        ask, token = getattr(self._client, operation), None
        while True:
            page = ask(**wanted, **({"nextToken": token} if token else {}))
            yield page
            if not page.get("nextToken") or page["nextToken"] == token:
                return
            token = page["nextToken"]


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _name(machine: str) -> str:
    """Of its ARN."""
    return machine.rpartition(":")[2]


def _ms(at: Any) -> int:
    return unix_ns(at) // 1_000_000
