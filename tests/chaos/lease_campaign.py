"""Histories of leases: each a seed, a world, fifty clients, and what may go wrong; and what must be so whatever did."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chaos.doors import Door, Grounds
from chaos.holders import Beliefs, Holder, Network
from chaos.linear import TTL_NS, stuck_at
from chaos.sim import S

CLIENTS = 50
PLAYED_NS = 100 * S
QUIET_NS = 21 * S + TTL_NS  # the longest question that is held open, and one lease
LIMITS = (1, 2, 3, 5, 10)
Gate = Mapping[str, Any]


def _gate(limit: int, **more: Any) -> Gate:
    return {"kind": "concurrency", "limit": limit, "on_unreachable": "wait(1h)", **more}


class Setting(NamedTuple):
    """Workflows, and their gates; ``limits`` by scope."""

    gates: Mapping[str, list[Gate]]
    limits: Mapping[str, int]

    @property
    def takes(self) -> dict[str, dict[str, int]]:
        """By workflow: what a run takes of which scope."""
        return {
            name: {f"pool {gate['scope']}" if "scope" in gate else f"workflow {name}": gate.get("weight", 1) for gate in gates}
            for name, gates in self.gates.items()
        }


def settings() -> list[Setting]:
    """One workflow alone; and three that share a pool, one of which takes two of it, another one has its own limit too."""
    found = [Setting({f"alone{n}": [_gate(n)]}, {f"workflow alone{n}": n}) for n in LIMITS]
    for n in LIMITS[1:]:
        pool = {"scope": f"pool{n}"}
        gates = {f"light{n}": [_gate(n, **pool)], f"heavy{n}": [_gate(n, **pool, weight=2)]}
        gates[f"both{n}"] = [_gate(n, **pool), _gate(1)]
        found.append(Setting(gates, {f"pool pool{n}": n, f"workflow both{n}": 1}))
    return found


SETTINGS = settings()


def grounds(folder: Path) -> Grounds:
    """For as many histories as are wanted."""
    return Grounds(folder, {name: {"gates": gates} for setting in SETTINGS for name, gates in setting.gates.items()})


class Played(NamedTuple):
    """A history: what is wrong with it, and what was in it."""

    problems: list[str]
    counts: Counter[str]


def play(stage: Grounds, seed: int) -> Played:
    """One history of fifty clients."""
    chance = random.Random(seed)
    setting = chance.choice(SETTINGS)
    stage.begin()
    door = Door(stage, setting.takes, chance, chance.choice((0.0, 0.01, 0.05)), chance.choice((0.1, 1.0, 3.0)))
    network = Network(door.world, chance, chance.choice((0.0, 0.02, 0.1)))
    beliefs = Beliefs(door.world, setting.takes, setting.limits)
    holders = [_holder(number, setting, door, network, beliefs, chance) for number in range(CLIENTS)]
    steps = _steps(door, chance)
    door.world.run(PLAYED_NS)
    for holder in holders:
        holder.host.end()
    problems = [*beliefs.broken, *_after(door, setting)]
    counts = Counter(op.kind if op.is_sure else f"{op.kind}, its answer lost" for op in door.history)
    counts.update({"kills of the collector": door.kills, "steps of its clock": steps})
    counts.update({"runs": sum(each.granted for each in holders), "lost leases": sum(each.lost for each in holders)})
    return Played([f"seed {seed}: {each}" for each in problems], counts)


def _holder(
    number: int, setting: Setting, door: Door, network: Network, beliefs: Beliefs, chance: random.Random
) -> Holder:  # fmt: skip
    workflow = chance.choice(list(setting.gates))
    policy = {"gates": setting.gates[workflow]}
    holder = Holder(f"h{number}", workflow, door, network, beliefs, policy, random.Random(chance.random()))
    holder.host.start(holder.begin)
    return holder


def _steps(door: Door, chance: random.Random) -> int:
    """Have the collector's wall clock set now and then, by seconds or by hours; how often."""
    many = chance.choice((0, 0, 1, 3))
    for _ in range(many):
        ahead = chance.choice((-1, 1)) * chance.choice((2.0, 20.0, 59.0, 3600.0, 86400.0)) * chance.uniform(1, 2)
        door.world.after(chance.uniform(5, PLAYED_NS / S), lambda ahead=ahead: door.set_clock(ahead))
    return many


def _after(door: Door, setting: Setting) -> list[str]:
    """What is wrong once all of them are gone."""
    problems = []
    last = stuck_at(door.history, setting.limits)
    if last is not None:
        problems.append(f"no order explains {last}")
    left = door.left_after(QUIET_NS)
    if left:
        problems.append(f"never given back: {left}")
    return problems
