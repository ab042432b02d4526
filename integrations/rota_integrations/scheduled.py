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
            found: by workflow, all that is scheduled now.
        """
        for workflow in sorted({*self._told, *found}):
            self.change(workflow, found.get(workflow, {}))

    def change(self, workflow: str, declared: Mapping[str, str]) -> None:
        """Tell how one workflow is scheduled now, if that is new.

        Args:
            workflow: its name.
            declared: as ``Source.schedule`` takes it; nothing: it is not.
        """
        if self._told.get(workflow, {}) == declared:
            return
        self._source.schedule(workflow, declared, time.time_ns())
        self._told[workflow] = dict(declared)
        if not declared:
            del self._told[workflow]
