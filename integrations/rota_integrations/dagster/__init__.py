"""Dagster: each run of an instance is a run here, with its steps, retries, assets and schedule.

From inside, by lines in ``dagster.yaml``. The hook is Dagster's own for log handlers: it gives them each event, in whichever
process that happens:

    python_logs:
      dagster_handler_config:
        handlers:
          rota:
            class: rota_integrations.dagster.Handler

From outside, by the instance's history, with nothing of rota's in Dagster's processes:

    rota observe dagster --dagster-home /srv/dagster --webserver http://127.0.0.1:3000

Tested with 1.10 and 1.13.
"""

from __future__ import annotations

import argparse
import logging
import os
from typing import Optional

from rota.foreign import Source, harmless
from rota_integrations.dagster.reading import Reading
from rota_integrations.dagster.telling import Said, Teller, tells
from rota_integrations.dagster.webserver import Webserver
from rota_integrations.needs import needed
from rota_integrations.web import address

needed("dagster", "dagster", "1.10")

_teller: Optional[Teller] = None  # Dagster makes handlers anew for each run and step; what is known of them stays


class Handler(logging.Handler):
    """Tells what Dagster's events say. Nothing that it does raises, prints or waits in there."""

    def emit(self, record: logging.LogRecord) -> None:
        """A record of Dagster's; others say nothing."""
        _tell(record)


@harmless
def _tell(record: logging.LogRecord) -> None:
    global _teller
    said = getattr(record, "dagster_meta", None)
    if not said or not tells(said.get("dagster_event"), said.get("orig_message")) or not said.get("run_id"):
        return  # as most do: nothing more is done for them
    if _teller is None:
        _teller = Teller(Source("dagster", ends_with_process=True), host=os.uname().nodename)
    _teller.take(
        Said(
            run_id=said["run_id"], job=said.get("job_name") or "", tags=said.get("job_tags") or {},
            at_ns=int(record.created * 1e9), event=said.get("dagster_event"), step=said.get("step_key"),
            message=said.get("orig_message") or "",
        )
    )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which instance."""
    parser.add_argument("--dagster-home", metavar="DIR", help="with its dagster.yaml ($DAGSTER_HOME)")
    example = "http://127.0.0.1:3000"
    parser.add_argument("--webserver", metavar="URL", type=address(example), help="which knows schedules: " + example)


def follower(options: argparse.Namespace) -> Reading:
    """What looks at an instance, for ``rota observe dagster``."""
    return Reading(options.dagster_home, Webserver(options.webserver) if options.webserver else None)
