"""kill -9 at every write, sync, rename, cut and unlink of a collector: nothing acknowledged is lost, nothing is there twice.

A seeded sample in `make test` (`ROTA_SEED` chooses another). `make soak` goes through every such call of five scenarios, with one
seed after the other, until `ROTA_POINTS` (2,000) of them were met; it tells on and on how far it is.
"""

from __future__ import annotations

import os
import random

import pytest
from chaos.faults import HAS_STRACE, Fault
from chaos.kept import Kept
from chaos.lives import Campaign, crusade
from chaos.scenarios import SCENARIOS

pytestmark = pytest.mark.skipif(not HAS_STRACE, reason="needs strace: apt-get install strace")
SEED = int(os.environ.get("ROTA_SEED", "1"))
# Calls that a collector makes whatever its machine: of each of its parts, some while it starts and some later.
USUAL = [
    *(Fault("journal", call, nth) for call in ("pwritev2", "fdatasync") for nth in (1, 2, 3)),
    *(Fault("telemetry", call, nth) for call in ("write", "fsync") for nth in (1, 2, 3)),
    *(Fault("control", "pwrite64", nth) for nth in range(1, 12)),
    Fault("control", "fdatasync", 1), Fault("home", "rename", 1),
]  # fmt: skip
SAMPLE = 4


def test_kills_at_some_calls_lose_and_double_nothing(tmp_path):
    """Kills while it ingests, one life after the other on one home: all that was acknowledged is there once, as it was sent."""
    campaign = Campaign(tmp_path, SCENARIOS["restart"], SEED)
    for fault in random.Random(SEED).sample(USUAL, SAMPLE):
        campaign.strike(fault)
    campaign.settle()
    campaign.close()
    assert campaign.problems == []
    assert campaign.struck >= SAMPLE - 1
    assert campaign.acknowledged > 0


@pytest.mark.soak
def test_kills_at_every_call_lose_and_double_nothing(tmp_path, pytestconfig):
    """Creation, ingest, checkpoint, the roll of a segment, a rebuild: whichever call is the last, nothing is lost."""
    wanted = int(os.environ.get("ROTA_POINTS", "2000"))
    assert crusade(tmp_path, ["signal=KILL"], wanted, Kept("kills", pytestconfig), "kills", SEED).problems == []
