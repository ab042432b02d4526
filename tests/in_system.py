"""A script in the environment of another system, with nobody there whom rota could tell: what it told stays in the spool."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

from collectors import clean_environment
from orchestrators import SOURCES, python_of


def scripted(system: str, code: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` as a file, so that processes which it starts can import it; its exit status is the test's to look at."""
    script = home.parent / "script.py"
    script.write_text(textwrap.dedent(code))
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    environment = clean_environment(**(nobody | settings)) | {"PYTHONPATH": SOURCES}
    command = [python_of(system), str(script)]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
