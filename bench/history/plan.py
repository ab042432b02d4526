"""The plan of the story: what reaches the collector, what people do, and the moments at which the collector has to look."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bench.history.run import DAY, HOUR, MINUTE, Line, Run, S

if TYPE_CHECKING:
    from bench.history.world import World

DOWN_NS, SILENT_NS = 5 * HOUR, 3 * HOUR + 30 * MINUTE  # how long nobody watched, and how long a host was silent
SILENT_HOST = "etl-2"


class Plan:
    """What happens when. Times are Unix ns."""

    def __init__(self, now_ns: int, days: int, seed: str) -> None:
        self.now_ns, self.days, self.seed = now_ns, days, seed
        self.began_ns = now_ns - days * DAY
        down_ns = self.ago(min(14, 0.6 * days))
        self.down = (down_ns, down_ns + DOWN_NS)
        silent_ns = self.ago(min(9, 0.42 * days))
        self.silent = (silent_ns, silent_ns + SILENT_NS)
        self.maintained = (0, 0)
        self.broken_ns = 0  # since when the nightly workflow does not start
        self.marks: dict[str, Run] = {}
        self.ends: dict[str, list[int]] = {}  # workflow → when its runs succeeded
        self._deliveries: list[tuple[int, int, Callable[[], Iterable[Line]]]] = []
        self._next = 0
        self._deeds: list[tuple[int, Callable[[World], object]]] = []
        self._looks = {*self.down, self.down[1] + 40 * S, self.down[1] + 130 * S, self.down[1] + 3 * MINUTE, self.silent[1] + 1}

    def ago(self, days: float) -> int:
        """So many days before the end of the story, on a second of its own."""
        return self.now_ns - round(days * DAY)

    def look(self, at_ns: int) -> None:
        """The collector looks at that moment, as it would of itself: a deadline passes, or news comes in."""
        if self.began_ns < at_ns < self.now_ns:
            self._looks.add(at_ns)

    def do(self, at_ns: int, deed: Callable[[World], object]) -> None:
        """Somebody does something at that moment."""
        self._deeds.append((at_ns, deed))
        self.look(at_ns)

    def put(self, at_ns: int, workflow: str, document: dict[str, Any], author: str, reason: str) -> None:
        """Somebody stores a policy at that moment."""
        self.do(at_ns, lambda world: world.put(workflow, document, author, reason))

    def deliver(self, at_ns: int, say: Callable[[], Iterable[Line]]) -> None:
        """Something reaches the collector; while that is down, it waits in a spool."""
        at_ns = self.down[1] + 30 * S if self.down[0] < at_ns < self.down[1] else at_ns
        if at_ns <= self.now_ns:
            self._deliveries.append((at_ns, len(self._deliveries), say))

    # -- the walk -----------------------------------------------------------------------------------------------------

    def moments(self) -> list[int]:
        """When the collector looks, in order; the closer to now, the more often. Not while it is down."""
        self._deliveries.sort()
        self._deeds.sort(key=lambda each: each[0])
        looks = {*self._looks, self.began_ns, self.now_ns}
        for span_ns, step_ns in ((self.days * DAY, DAY), (3 * DAY, 3 * HOUR), (DAY, HOUR), (HOUR, 10 * MINUTE)):
            looks.update(range(max(self.now_ns - span_ns, self.began_ns), self.now_ns, step_ns))
        return sorted(at for at in looks if not self.down[0] < at < self.down[1])

    def arriving(self, moment: int) -> Iterator[Line]:
        """What has reached the collector since the moment before."""
        while self._next < len(self._deliveries) and self._deliveries[self._next][0] <= moment:
            yield from self._deliveries[self._next][2]()
            self._next += 1

    def due_deeds(self, moment: int) -> list[Callable[[World], object]]:
        """What people do by then."""
        number = bisect_right(self._deeds, moment, key=lambda each: each[0])
        deeds, self._deeds = self._deeds[:number], self._deeds[number:]
        return [deed for _, deed in deeds]
