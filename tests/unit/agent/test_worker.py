"""When the agent's second thread goes to work."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest
from servers import PATIENCE_SECONDS

from rota.agent.answer import Unavailable
from rota.agent.spool import Spool
from rota.agent.worker import Worker

_NEVER_SECONDS = 3600.0


class Carrier:
    """Does as it is told, and says when it was asked to."""

    delivered_at, carried, set_aside = 0.0, 0, 0

    def __init__(self) -> None:
        self.rounds: queue.Queue[str] = queue.Queue()
        self.failure: dict[str, Exception] = {}

    def round(self, spool: Spool, is_resident: bool) -> bool:
        assert is_resident
        self.rounds.put(spool.directory)
        if spool.directory in self.failure:
            raise self.failure[spool.directory]
        return False

    def trim(self, spool: Spool) -> None:
        """Nothing to drop."""


class Samples:
    """None."""

    dropped = 0

    def ship(self) -> None:
        """Nothing to do."""


@pytest.fixture
def carrier() -> Carrier:
    """One."""
    return Carrier()


@pytest.fixture
def said() -> list[str]:
    """What is reported."""
    return []


@pytest.fixture
def worker(carrier, said) -> Iterator[Worker]:
    """A worker for two spools, which never looks by itself."""
    spools = {path: Spool(path) for path in ("/one", "/two")}
    made = Worker(carrier, spools, Samples(), said.append, tail_seconds=_NEVER_SECONDS)
    yield made
    made.stop(PATIENCE_SECONDS)
    assert not made.is_alive()


def rounds(carrier: Carrier, count: int) -> list[str]:
    """The spools of the next rounds, once they were."""
    return [carrier.rounds.get(timeout=PATIENCE_SECONDS) for _ in range(count)]


def test_it_works_when_it_is_woken(worker, carrier):
    """Whoever has something to carry need not wait until it looks by itself."""
    worker.start()
    assert rounds(carrier, 2) == ["/one", "/two"]
    worker.wake()
    assert rounds(carrier, 2) == ["/one", "/two"]


def test_it_stops_while_it_waits(worker, carrier):
    """After one more round, for what is there."""
    worker.start()
    rounds(carrier, 2)
    worker.stop(PATIENCE_SECONDS)
    assert rounds(carrier, 2) == ["/one", "/two"]


def test_a_server_that_asked_for_a_pause_has_it(worker, carrier, said):
    """Nothing that happens on this host makes it shorter, not even that we are stopped."""
    carrier.failure["/one"] = Unavailable("busy", retry_after_seconds=_NEVER_SECONDS)
    worker.start()
    assert rounds(carrier, 1) == ["/one"]
    worker.wake()
    worker.stop(PATIENCE_SECONDS)
    assert carrier.rounds.empty()
    assert said == ["busy. It stays in the spool"]


def test_a_fault_in_one_spool_holds_up_no_other(worker, carrier, said):
    """It is reported, and the others have their turn in the same round."""
    carrier.failure["/one"] = RuntimeError("ours")
    worker.start()
    assert rounds(carrier, 2) == ["/one", "/two"]
    worker.stop(PATIENCE_SECONDS)
    assert said == ["a round failed: RuntimeError: ours"]
    assert worker.status()["failure"] == said[0]
