"""kill -9 of the collector at any moment loses nothing that it acknowledged, and shows nothing twice."""

from __future__ import annotations

import os

import pytest
from campaign import Campaign

RUNS = int(os.environ.get("ROTA_SOAK") or 10_000)


@pytest.mark.soak
def test_a_stream_of_runs_survives_every_kill(new_collector):
    """Thousands of runs, a kill every half second: each run is there once, as it ended, in both stores."""
    campaign = Campaign(new_collector(), RUNS, kills=max(5, RUNS // 250), seed=RUNS)
    campaign.play()
    assert campaign.retried > 0
    campaign.check()
