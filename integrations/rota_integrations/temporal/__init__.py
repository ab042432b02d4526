"""Temporal: nothing in its workers, in whatever language; its server is asked, and each workflow execution is a run.

    rota observe temporal --address localhost:7233 --namespace default

Seen: executions as they run and end, their activities once they are done, with attempts and errors; children as runs of their
own; schedules and cron. A run that goes on as new, by cron or as another try is a run of its own, and the one before names it.

TLS, API keys and profiles are Temporal's own: its ``TEMPORAL_*`` environment and configuration file.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import datetime, timezone
from typing import Any

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota_integrations import times
from rota_integrations.following import Seldom, add_since
from rota_integrations.needs import needed
from rota_integrations.states import table_of
from rota_integrations.temporal import history, schedules

_OVERLAP_SECONDS = 60.0  # what was begun or ended is listed a while later
_BELIEVED_SECONDS = 60.0  # what schedules there are
_GONE = "GONE"  # no status of Temporal's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server, and how far back."""
    parser.add_argument("--address", metavar="HOST:PORT", help="of the server (TEMPORAL_ADDRESS, or localhost:7233)")
    parser.add_argument("--namespace", help="whose executions (TEMPORAL_NAMESPACE, or default)")
    parser.add_argument("--query", help="only those that this list filter of Temporal's finds: WorkflowType = 'etl'")
    add_since(parser)


def follower(options: argparse.Namespace) -> Follower:
    """Who looks. Raises ImportError without Temporal's package."""
    needed("temporal", "temporalio", "1.18")
    given = {"target_host": options.address, "namespace": options.namespace}
    return Follower({name: value for name, value in given.items() if value}, options.query, options.since)


class Follower:
    """Looks at one namespace.

    Args:
        given: arguments of Temporal's client that its environment does not say.
        query: a list filter, or None.
        since_seconds: how far back at the first look.
    """

    def __init__(self, given: dict[str, str], query: str | None, since_seconds: float) -> None:
        self._given, self._query, self._since_seconds = given, query, since_seconds
        self._source, self._states = Source("temporal"), table_of("temporal")
        self._loop, self._client = asyncio.new_event_loop(), None  # a client belongs to its loop
        self._schedules: dict[str, dict[str, str]] = {}
        self._listed_schedules = Seldom(lambda: self._loop.run_until_complete(self._list_schedules()), _BELIEVED_SECONDS)

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new. The memory holds when it was looked last, and what is told of executions that go on or just ended."""
        self._loop.run_until_complete(self._look(memory))

    def schedules(self) -> dict[str, dict[str, str]]:
        """Those of the namespace that are not paused, by the type of workflow that they begin."""
        return self._listed_schedules()

    async def _list_schedules(self) -> dict[str, dict[str, str]]:
        found: dict[str, list[dict[str, str]]] = {}
        client = await self._connected()
        async for each in await client.list_schedules():
            schedule = each.schedule
            workflow = schedule and getattr(schedule.action, "workflow", None)
            if workflow and not schedule.state.paused:
                found.setdefault(workflow, []).append(schedules.declared(schedule.spec))
        return {workflow: several[0] for workflow, several in found.items() if len(several) == 1}

    async def _look(self, memory: dict[str, Any]) -> None:
        client, now = await self._connected(), time.time()
        known: dict[str, list[Any]] = memory.setdefault("known", {})  # run id → workflow id, status, last event, when seen
        found = await self._listed(client, memory.get("since", now - self._since_seconds))
        self._schedules = {}
        for run_id, workflow_id in {**{each: kept[0] for each, kept in known.items()}, **found}.items():
            before = known.get(run_id, [workflow_id, "", 0, now])
            if not self._is_over(before[1]):
                known[run_id] = [*await self._tell(client, run_id, before), now]
        oldest = now - 2 * _OVERLAP_SECONDS
        memory["known"] = {each: kept for each, kept in known.items() if kept[3] >= oldest or not self._is_over(kept[1])}
        memory["since"] = now - _OVERLAP_SECONDS

    def _is_over(self, status: str) -> bool:
        return status == _GONE or self._states.of_run(status).name in TERMINAL

    async def _connected(self) -> Any:
        if self._client is None:
            from temporalio.client import Client
            from temporalio.envconfig import ClientConfig

            how = {"target_host": "localhost:7233", **ClientConfig.load_client_connect_config(), **self._given}
            self._client = await Client.connect(**how)
        return self._client

    async def _listed(self, client: Any, since: float) -> dict[str, str]:
        """Run ids and workflow ids of what began or ended since then."""
        date = datetime.fromtimestamp(since, timezone.utc).isoformat()
        recent = "(StartTime >= '%s' OR CloseTime >= '%s')" % (date, date)
        query = "%s AND (%s)" % (recent, self._query) if self._query else recent
        return {each.run_id: each.id async for each in client.list_workflows(query)}

    async def _tell(self, client: Any, run_id: str, before: list[Any]) -> list[Any]:
        """What is new of an execution; returns its workflow id, its status and the last event that was told."""
        from temporalio.service import RPCError, RPCStatusCode

        workflow_id, status, told = before[:3]
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            what = await handle.describe()
            if what.status.name == status and what.history_length <= told:
                return before[:3]
            events = [event async for event in handle.fetch_history_events()]
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # its retention is over
                return [workflow_id, _GONE, told]
            raise
        for each in history.activities(events):
            if each.event > told:
                self._tell_activity(what, each)
        if what.status.name != status:
            await self._tell_run(client, what, events)
        return [workflow_id, what.status.name, events[-1].event_id]

    def _tell_activity(self, what: Any, each: history.Activity) -> None:
        state = self._states.of_task(each.word)
        self._source.task(
            what.workflow_type, (what.run_id,), each.name, state.name, each.ended_ns, instance=each.identity, raw_state=state.raw,
            reason=state.reason, attempt=each.attempt, started_ns=each.started_ns, error=each.error,
            facts={"instance": each.identity, "temporal.activity.id": each.identity},
        )  # fmt: skip

    async def _tell_run(self, client: Any, what: Any, events: list[Any]) -> None:
        began_ns, begun = times.ns(what.execution_time or what.start_time), events[0].workflow_execution_started_event_attributes
        about = {
            "slot_ns": history.slot_ns(what, begun), "declared": await self._declared(client, what, begun),
            "parent": (what.parent_run_id,) if what.parent_run_id else (), "started_ns": began_ns,
        }  # fmt: skip
        facts = {"temporal.workflow.id": what.id, "temporal.task_queue": what.task_queue}
        self._tell_state(what, "RUNNING", began_ns, facts, about)
        if what.close_time is not None:
            facts["temporal.continued_as"] = history.continued_as(events)
            self._tell_state(
                what, what.status.name, times.ns(what.close_time), facts, {**about, "error": history.last_error(events)}
            )
        elif what.status.name != "RUNNING":
            self._tell_state(what, what.status.name, events[-1].event_time.ToNanoseconds(), facts, about)

    def _tell_state(self, what: Any, word: str, at_ns: int, facts: dict[str, Any], about: dict[str, Any]) -> None:
        state = self._states.of_run(word)
        self._source.run(
            what.workflow_type, (what.run_id,), state.name, at_ns, raw_state=state.raw, reason=state.reason, facts=facts, **about
        )

    async def _declared(self, client: Any, what: Any, begun: Any) -> dict[str, str]:
        """The schedule that began it; none where it is gone."""
        from temporalio.service import RPCError

        if begun.cron_schedule:
            return schedules.of_cron(begun.cron_schedule)
        by = history.scheduled_by(what)
        if by and by not in self._schedules:
            try:
                described = await client.get_schedule_handle(by).describe()
                self._schedules[by] = schedules.declared(described.schedule.spec)
            except RPCError:
                self._schedules[by] = {}
        return self._schedules.get(by or "", {})
