"""The policies that ask something, brought by a script at its start: no agent keeps them, and the collector is right here."""

from __future__ import annotations

import json
import os

from rota._forward import leave_mark
from rota._guard import guarded, note
from rota._spool import FOREIGN_MARK, REFUSED_SECONDS, is_stale
from rota.control.collector import Collector
from rota.control.document import version_of, write

PATH = "/api/v1/policies/asking?known=%d"
FETCH_SECONDS = 0.25


@guarded
def bring(home: str) -> None:
    """Make the policies of a home those of the collector. Who could not tell them is not asked again for an hour."""
    spool = os.path.join(home, "spool")
    if not is_stale(spool + FOREIGN_MARK, REFUSED_SECONDS):
        return
    collector = Collector()
    try:
        found = json.loads(collector.ask(None, FETCH_SECONDS, PATH % version_of(home)))
        if found["items"] is not None:
            write(home, int(found["version"]), found["items"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # it answers, and not this
        note("policies", error)
        leave_mark(spool + FOREIGN_MARK)
    except OSError as error:  # no answer, or no disk: a shipper tries again after the script's end
        note("policies", error)
    finally:
        collector.close()
