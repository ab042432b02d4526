"""Every endpoint of the OpenAPI document is asked all that the document allows and much that it does not.

The collector answers each request as the document says, refuses in the envelope of errors, tells nobody without a key anything,
and has, after all that, what it acknowledged. A seeded sample in `make test` (`ROTA_SEED` chooses another); in `make soak`
`ROTA_REQUESTS` (30,000) requests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import otlp
import pytest
from chaos.faults import FaultyCollector
from chaos.kept import Kept
from chaos.oracle import Oracle, is_settled
from chaos.requests_made import Asking
from chaos.scenarios import begin
from collectors import until

SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE = 8  # requests an endpoint
ROUND = 100


class Asked:
    """A collector that is asked, and an oracle that sent it something before and looks at it afterwards."""

    def __init__(self, folder: Path) -> None:
        self.collector = FaultyCollector(folder / "home", folder / "stderr", folder / "strace")
        self.collector.settings["ROTA_API_RATE"] = "off"
        begin(self.collector)
        self.oracle = Oracle(SEED)
        self.oracle.ship(self.collector, 8)
        self.asking = Asking(self.collector)

    def ask(self, requests: int, number: int) -> None:
        """So many requests to each endpoint."""
        for operation in self.asking.operations:
            self.asking.ask(operation, requests, number)

    def problems(self) -> list[str]:
        """What was wrong with answers, and what is wrong with the collector now."""
        until(lambda: is_settled(self.collector), "the stores to have everything")
        self.oracle.look(self.collector)
        lost = [each for each in self.oracle.problems if not each.startswith("never sent")]  # others send too, here
        self.oracle.problems = []
        said = [line for line in self.collector.stderr.splitlines() if line.startswith("Traceback")]
        return [*self.asking.problems, *lost, *said]

    def close(self) -> None:
        """Leave no process behind."""
        self.asking.close()
        self.oracle.close()
        self.collector.close()


@pytest.fixture
def asked(tmp_path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.close()


def test_every_endpoint_answers_as_its_document_says(asked):
    """Good and bad requests, with keys of all scopes and without."""
    asked.ask(SAMPLE, SEED)
    assert "\n".join(asked.problems()) == ""
    assert len(asked.asking.good) > 0.6 * len(asked.asking.operations)
    assert min(asked.asking.statuses[status] for status in (200, 401, 403, 404, 422)) > 0
    asked.collector.send(otlp.log(3, "and it lives"))


@pytest.mark.soak
def test_thousands_of_requests_are_answered_as_the_document_says(asked, pytestconfig):
    """The same with one seed after the other."""
    kept = Kept("requests", pytestconfig)
    wanted, number, problems = int(os.environ.get("ROTA_REQUESTS", "30000")), 1_000 * SEED, []
    while (made := asked.asking.statuses.total()) < wanted:
        asked.ask(ROUND, number := number + 1)
        problems = asked.problems()
        told = {"seed": SEED, "requests": asked.asking.statuses.total(), "statuses": asked.asking.statuses, "problems": problems}
        kept.keep(told, f"requests: {made} of {wanted}, {len(problems)} problems")
    assert problems == []
