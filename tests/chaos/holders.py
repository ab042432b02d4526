"""Those who hold leases, in a simulated world: the client's own ``Admission`` and ``Held``, over a network that delays, loses and
repeats, on hosts whose clocks are wrong, which stand still for a while, or are gone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from chaos.doors import Door
from chaos.sim import Host, Signal, World

from rota.control.admit import Admission
from rota.control.client import Unreachable
from rota.control.hold import Held
from rota.rules.gates import GO

RATES = (0.95, 1.05)  # of a host's clock


class Network:
    """Between a host and the door."""

    def __init__(self, world: World, chance: random.Random, troubles: float) -> None:
        self._world, self._chance, self._troubles = world, chance, troubles

    def carry(self, arrive: Callable[[], object]) -> None:
        """Have a message arrive: mostly soon, sometimes late, never, or once more much later."""
        if self._troubles and self._chance.random() < self._troubles:
            if self._chance.random() < 0.6:
                return
            self._world.after(self._chance.uniform(1, 90), arrive)
        late = self._chance.random() < self._troubles
        self._world.after(self._chance.uniform(0.1, 20) if late else self._chance.expovariate(50), arrive)


class Believed(Held):
    """The real thing, and whoever watches is told when it begins to be believed again."""

    def __init__(self, *given: Any, watch: Callable[[], object]) -> None:
        super().__init__(*given)
        self._watch = watch

    def _renewed(self) -> str:
        reason = super()._renewed()
        self._watch()
        return reason


class Holder:
    """A host, and the runs on it, one after the other. ``beliefs`` are everybody's: who believes to hold what."""

    def __init__(
        self, name: str, workflow: str, door: Door, network: Network, beliefs: Beliefs, policy: Mapping[str, Any],
        chance: random.Random,
    ) -> None:  # fmt: skip
        self.host = Host(door.world, chance.uniform(0, 1e6), chance.uniform(*RATES))
        self._name, self._workflow, self._door, self._network = name, workflow, door, network
        self._beliefs, self._policy, self._chance = beliefs, policy, chance
        self._asked_at = 0.0
        self.granted = self.lost = 0

    def begin(self) -> None:
        """What the host does."""
        self.host.sleep(self._chance.uniform(0, 20))
        for number in range(self._chance.choice((1, 1, 2, 3))):
            self._run(f"{self._name}.{number}")

    def _run(self, run_id: str) -> None:
        question = {"workflow": self._workflow, "run_id": run_id, "attempt": 1, "host": self._name}
        held_seconds = self._chance.choice((5.0, 20.0, 20.0))
        admission = Admission(
            self._policy, question, self, Unreachable, "", lambda _: None, self.host.clock, self.host.sleep, held_seconds
        )
        found = admission.permission()
        if found.answer != GO or not found.leases:
            return
        self.granted += 1
        held = Believed(found.leases, self._asked_at, self._post, self._told_lost, self.host.clock, watch=self._beliefs.watch)
        held._over = Signal(self.host)  # type: ignore[assignment]  # an event of this world
        self._beliefs.hold(self.host, held, self._workflow)
        self.host.start(held._keep)
        self._work(held)
        held.release()
        self._haunt(held)

    def _work(self, held: Held) -> None:
        """Which may be interrupted."""
        doom = self._chance.random()
        if doom < 0.06:
            self.host.is_gone = True
        elif doom < 0.25:
            self.host.pause(self._chance.uniform(1, 150))
        self.host.sleep(self._chance.expovariate(self._chance.choice((1, 1 / 2, 1 / 5, 1 / 40))))
        if doom > 0.95:
            self.host.pause(self._chance.uniform(30, 150))  # between the last look and the release
            self.host.sleep(0.0)

    def _haunt(self, held: Held) -> None:
        """Act once more with what is over, or with a token that is another's."""
        if self._chance.random() < 0.2:
            for lease in held._leases:
                what = self._chance.choice(("renew", "release"))
                stale = lease["token"] + self._chance.choice((0, -1, 1))
                self._network.carry(
                    lambda lease=lease, what=what, stale=stale: self._door.change(what, lease["id"], stale, _unheard)
                )

    def _told_lost(self, _reason: str) -> None:
        self.lost += 1

    # -- questions --------------------------------------------------------------------------------------------------------

    def ask(self, question: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """As ``rota.control.gated.Gated.ask``."""
        self._asked_at = self.host.clock()
        key, hang_up = f"{self._chance.getrandbits(64):x}", list[Callable[[], object]]()

        def arrive(reply: Callable[[Any], object]) -> None:
            hang_up.append(self._door.ask(question, key, reply))

        found = self._exchange(arrive, timeout_seconds)
        if isinstance(found, Exception):
            for each in hang_up:
                self._network.carry(each)
            raise Unreachable(str(found))
        return found  # type: ignore[no-any-return]

    def _post(self, path: str, body: Mapping[str, Any], timeout_seconds: float) -> Mapping[str, Any]:
        *_, lease, what = path.split("/")
        found = self._exchange(lambda reply: self._door.change(what, lease, body["token"], reply), timeout_seconds)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    def _exchange(self, arrive: Callable[[Callable[[Any], object]], object], timeout_seconds: float) -> Any:
        """The answer, or the error instead of one."""
        heard = Signal(self.host)
        self._network.carry(lambda: arrive(lambda answer: self._network.carry(lambda: heard.set(answer))))
        return heard.value if heard.wait(timeout_seconds) else TimeoutError("no answer")


class Beliefs:
    """Who believes to hold what. ``broken``: when more was believed to be held than there is."""

    def __init__(self, world: World, takes: Mapping[str, Mapping[str, int]], limits: Mapping[str, int]) -> None:
        self._world, self._takes, self._limits = world, takes, limits
        self._held: list[tuple[Host, Held, str]] = []
        self.broken: list[str] = []

    def hold(self, host: Host, held: Held, workflow: str) -> None:
        """A run begins."""
        self._held.append((host, held, workflow))
        self.watch()

    def watch(self) -> None:
        """Look at all of them. Only when one begins to believe can there be more."""
        self._held = [each for each in self._held if not each[0].is_gone and not each[1]._over.is_set()]
        believed = [workflow for _, held, workflow in self._held if held.is_valid()]
        for scope, limit in self._limits.items():
            many = sum(self._takes[workflow].get(scope, 0) for workflow in believed)
            if many > limit:
                self.broken.append(f"at {self._world.now_ns / 1e9:.3f} s {many} of {limit} of {scope} are believed to be held")


def _unheard(_answer: object) -> None:
    """Nobody waits for it."""
