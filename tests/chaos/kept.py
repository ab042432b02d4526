"""What long campaigns found, kept in ``bench/results/chaos-*.json``: written as they go, so that one ended early counts too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench import machine, report


class Kept:
    """One campaign's file, and its line of progress on the terminal.

    ``earlier``: what earlier parts of the same campaign told, when `ROTA_CONTINUE=1` asks to go on with it.
    """

    def __init__(self, name: str, config: pytest.Config | None = None, folder: Path = report.RESULTS) -> None:
        self._path = folder / f"chaos-{name}.json"
        self._config = config
        self._about = {
            "campaign": name,
            "taken_at": time.strftime("%Y-%m-%d %H:%M"),
            "commit": _commit(),
            "machine": machine.described(),
        }

        self.earlier: list[dict[str, Any]] = []
        if os.environ.get("ROTA_CONTINUE") == "1" and self._path.exists():
            last = json.loads(self._path.read_text(encoding="utf-8"))
            self.earlier = [*last.pop("earlier", []), last]

    def keep(self, told: dict[str, Any], line: str) -> None:
        """Write the result so far, and say where we are."""
        all_of_it = {**self._about, **told, **({"earlier": self.earlier} if self.earlier else {})}
        self._path.write_text(json.dumps(all_of_it, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if self._config is None:
            return
        with self._config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\r{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return found.stdout.strip()
