"""What a system schedules at present, told when it changes."""

from __future__ import annotations

import time
from typing import Dict, Mapping, Optional

from rota.foreign import Source


class Scheduled:
    """Remembers what was told.

    Args:
        source: tells.
        told: by workflow, what was told before; kept up in place.
    """

    def __init__(self, source: Source, told: Optional[Dict[str, Dict[str, str]]] = None) -> None:
        self._source, self._told = source, {} if told is None else told

    def tell(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Tell those that have changed; one that is there no more is taken back.

        Args:
            found: by workflow, all that is scheduled now, as ``Source.schedule`` takes it. Nothing is the same as none.
        """
        now = {workflow: dict(declared) for workflow, declared in found.items() if declared}
        for workflow in sorted({*self._told, *now}):
            if self._told.get(workflow) != now.get(workflow):
                self._source.schedule(workflow, now.get(workflow, {}), time.time_ns())
        self._told.clear()
        self._told.update(now)
