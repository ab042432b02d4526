"""What the collector wants a host to hear at once: runs that it is to end, policies that changed. A request that is held open."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Callable

from rota import _config
from rota.agent.raw import opener
from rota.agent.target import Target
from rota.wire.names import COLLECTOR_HEADER

_HELD_SECONDS, _LATE_SECONDS = 20.0, 10.0
_MOST_BYTES = 1 << 20


class News:
    """Hears of them. For one thread.

    Args:
        cancel: called with (run id, why) of each run that is to end: on any host, as one in a container names its own.
    """

    def __init__(self, cancel: Callable[[str, str], None]) -> None:
        self._cancel, self._known = cancel, 0

    def wait(self, goal: Target, policies: int | None) -> bool:
        """Until there is news, or for some seconds. False: who answers does not tell any.

        Args:
            goal: where, with the certificates that everything else goes with.
            policies: the version that this host has.

        Raises:
            OSError, ValueError: nobody answers, or what came is not understood.
        """
        asked = {"known": self._known, "policies": policies, "wait_seconds": _HELD_SECONDS}
        headers = {"Content-Type": "application/json", **_config.headers()}
        request = urllib.request.Request(goal.url, json.dumps(asked).encode("ascii"), headers)
        try:
            with opener(goal).open(request, timeout=_HELD_SECONDS + _LATE_SECONDS) as answer:
                is_ours, said = COLLECTOR_HEADER in answer.headers, answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (404, 405):  # an older collector
                    return False
                raise
        if not is_ours:
            return False
        self._hear(json.loads(said))
        return True

    def _hear(self, told: dict[str, Any]) -> None:
        for each in told["cancels"]:
            self._cancel(str(each["run_id"]), str(each["reason"]))
        self._known = int(told["number"])
