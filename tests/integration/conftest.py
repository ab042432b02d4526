"""What several integration tests have in common."""

from __future__ import annotations

import subprocess
import sys

import pytest
from collectors import clean_environment

ROTA = [sys.executable, "-m", "rota"]


@pytest.fixture
def rota(shared_collector):
    """Run one command; returns what it printed, and with ``status`` what it said on stderr."""

    def run(*words: str, stdin: str = "", status: int = 0) -> str:
        home = str(shared_collector.home)
        environment = clean_environment(ROTA_ENDPOINT=shared_collector.url, ROTA_HOME=home, TZ="UTC", USER="ada", LOGNAME="ada")
        ended = subprocess.run([*ROTA, *words], env=environment, input=stdin, capture_output=True, text=True, check=False)
        assert ended.returncode == status, ended.stderr
        assert not (ended.stdout if status else ended.stderr)
        return ended.stderr if status else ended.stdout

    return run
