"""Whether a history of leases is one that could have been: some order of its operations, each at a moment between its call and
its answer, that a counted, expiring, fenced semaphore would have answered so.

The search is that of Wing and Gong, with Lowe's memory of where it was: an operation may come next if no other one had been
answered before it was called. Times are real ones, as one who stands at the collector's door sees them; a lease expires
``TTL_NS`` after the moment at which it was granted or renewed, so that its answer tells that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rota.rules.lease import TTL_SECONDS

TTL_NS = round(TTL_SECONDS * 1e9)


class Grant(NamedTuple):
    """A lease as its holder was told: until when it holds, of what."""

    id: str
    scope: str
    weight: int
    token: int
    expires_ns: int


class Op(NamedTuple):
    """One call and its answer. ``grants``: what was granted or renewed; empty: refused, or given back.

    ``is_sure`` False: the answer was lost at ``answered_ns``. It happened then, or not at all.
    """

    kind: str  # acquire, renew, release; refused: that of a lease which is over
    called_ns: int
    answered_ns: int
    grants: tuple[Grant, ...] = ()
    lease: str = ""
    token: int = 0
    is_sure: bool = True

    @property
    def told_ns(self) -> int | None:
        """The moment that its answer tells."""
        return self.grants[0].expires_ns - TTL_NS if self.grants else None


class State(NamedTuple):
    """Of the semaphore: what is held at ``now_ns``, and the last token of each scope."""

    now_ns: int
    held: frozenset[Grant]
    tokens: frozenset[tuple[str, int]]

    def at(self, now_ns: int) -> State:
        """As time alone changes it."""
        return State(now_ns, frozenset(each for each in self.held if each.expires_ns > now_ns), self.tokens)

    def find(self, lease: str, token: int) -> Grant | None:
        """A lease that is held with this token."""
        return next((each for each in self.held if each.id == lease and each.token == token), None)


class Semaphore:
    """What it answers. ``limits``: by scope."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits

    def after(self, state: State, op: Op) -> State | None:
        """The state after an operation, as early as it may be; None: it does not answer so."""
        now_ns = max(state.now_ns, op.called_ns) if op.is_sure else op.answered_ns
        told_ns = op.told_ns if op.is_sure else None
        at_ns = now_ns if told_ns is None else told_ns
        if not max(state.now_ns, op.called_ns) <= at_ns <= op.answered_ns:
            return None
        return getattr(self, f"_{op.kind}")(state.at(at_ns), op)  # type: ignore[no-any-return]

    def _acquire(self, state: State, op: Op) -> State | None:
        """Fresh leases that fit, with greater tokens; or those again that are held, renewed."""
        grants = [each._replace(expires_ns=state.now_ns + TTL_NS) for each in op.grants]
        before = [found for each in grants if (found := state.find(each.id, each.token))]
        if before:
            return self._with(state, before, grants) if len(before) == len(grants) else None
        tokens = dict(state.tokens)
        for each in grants:
            used = sum(one.weight for one in state.held if one.scope == each.scope)
            if used + each.weight > self._limits[each.scope] or each.token <= tokens.get(each.scope, 0):
                return None
            tokens[each.scope] = each.token
        return self._with(state._replace(tokens=frozenset(tokens.items())), [], grants)

    def _renew(self, state: State, op: Op) -> State | None:
        found = state.find(op.lease, op.token)
        return self._with(state, [found], [found._replace(expires_ns=state.now_ns + TTL_NS)]) if found else None

    def _release(self, state: State, op: Op) -> State | None:
        found = state.find(op.lease, op.token)
        return self._with(state, [found], []) if found else None

    def _refused(self, state: State, op: Op) -> State | None:
        """It is over, or comes to be while the question is on its way."""
        found = state.find(op.lease, op.token)
        if found is None:
            return state
        return state.at(found.expires_ns) if found.expires_ns <= op.answered_ns else None

    def _with(self, state: State, out: Sequence[Grant], into: Sequence[Grant]) -> State:
        return state._replace(held=(state.held - frozenset(out)) | frozenset(into))


def stuck_at(history: Sequence[Op], limits: Mapping[str, int]) -> Op | None:
    """None: the history is linearizable. Else the first operation that no order has an explanation for."""
    ops, semaphore = sorted(history, key=lambda op: op.called_ns), Semaphore(limits)
    sure = sum(1 << number for number, op in enumerate(ops) if op.is_sure)
    begin = State(0, frozenset(), frozenset())
    seen: dict[tuple[int, frozenset[Grant], frozenset[tuple[str, int]]], int] = {}
    ways, furthest = [(0, begin, _next(ops, 0))], 0
    while ways:
        done, state, candidates = ways[-1]
        if done & sure == sure:
            return None
        furthest = max(furthest, done & sure, key=int.bit_count)
        for number in candidates:
            after = semaphore.after(state, ops[number])
            if after is None:
                continue
            key = (done | 1 << number, after.held, after.tokens)
            if seen.get(key, after.now_ns + 1) > after.now_ns:
                seen[key] = after.now_ns
                ways.append((key[0], after, _next(ops, key[0])))
                break
        else:
            ways.pop()
    return next(op for number, op in enumerate(ops) if op.is_sure and not furthest >> number & 1)


def _next(ops: Sequence[Op], done: int) -> Iterator[int]:
    """Those that may come next: nobody who has not had their turn was answered before they were called. The sure ones first."""
    number, last_ns, may = (~done & done + 1).bit_length() - 1, None, []
    while number < len(ops) and (last_ns is None or ops[number].called_ns <= last_ns):
        op = ops[number]
        if not done >> number & 1:
            may.append(number)
            if op.is_sure:
                last_ns = op.answered_ns if last_ns is None else min(last_ns, op.answered_ns)
        number += 1
    return iter(sorted(may, key=lambda each: (not ops[each].is_sure, ops[each].answered_ns)))
