"""A home in the state in which a kill leaves it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest
from chaos.faults import FaultyCollector
from chaos.oracle import Oracle, is_settled
from chaos.scenarios import begin
from collectors import until

SEED = int(os.environ.get("ROTA_SEED", "1"))


@pytest.fixture
def killed(tmp_path):
    """A collector that was killed with something in every file, write-ahead logs too; and the oracle that filled it."""
    collector = FaultyCollector(tmp_path / "home", tmp_path / "stderr", tmp_path / "strace")
    oracle = Oracle(SEED)
    begin(collector)
    oracle.ship(collector, 16)
    until(lambda: is_settled(collector), "the stores to have everything")
    collector.kill()
    yield collector, oracle
    oracle.close()
    collector.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many descriptors as this process may have; the collector inherits them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
