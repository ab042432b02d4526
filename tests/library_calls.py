"""Scripts that use real libraries, and what is told of their calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scripts import Outcome, run_script, spool_lines

START = "import rota\nrota.watch()\n"


def run(source: str, home: Path) -> Outcome:
    """Run a script under this interpreter, which has the libraries; no error of ours may be swallowed in it."""
    script = home.parent / "job.py"
    script.write_text(START + "\n".join(line[4:] for line in source.splitlines()), encoding="utf-8")
    outcome = run_script("", home, sys.executable, path=script)
    assert (outcome.errors, outcome.code) == ("", 0), outcome.stderr.decode()
    return outcome


def calls(outcome: Outcome) -> list[dict[str, Any]]:
    """The attributes of all spans but the run's."""
    return [span["attributes"] for span in outcome.spans if span["kind"] != 2]


def written(outcome: Outcome) -> str:
    """All that the spool holds, as text."""
    return "".join(map(json.dumps, spool_lines(outcome.home)))
