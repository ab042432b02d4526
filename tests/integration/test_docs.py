"""The commands in the documentation, run as a reader would: page by page, in order, in one folder."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from collectors import PATIENCE_SECONDS
from docs_blocks import DOCS, Block, blocks, commands, looks_like, pages
from servers import client_of, environment_of, serve

WITH_COMMANDS = [page for page in pages() if any(block.kind == "console" and block.is_run for block in blocks(page))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page, tmp_path, new_collector):
    """Each command exits with 0 and prints what the page shows; a page that starts no server of its own finds a collector."""
    work = tmp_path / "work"
    work.mkdir()
    starts_its_own = any("background" in block.roles for block in blocks(page))
    environment = environment_of(tmp_path / "home") if starts_its_own else client_of(new_collector().start())
    environment |= {"COLUMNS": "200", "ROTA_ENDPOINT": f"http://{environment['ROTA_HTTP']}"}
    with contextlib.ExitStack() as running:
        for block in blocks(page):
            if block.title:
                (work / block.title).parent.mkdir(parents=True, exist_ok=True)
                (work / block.title).write_text(block.body)
            elif "background" in block.roles:
                for server in in_background(block, environment, tmp_path / "server.log"):
                    running.enter_context(server)
            elif block.kind == "console" and block.is_run:
                follow(block, work, environment)


def test_every_path_of_the_api_is_in_the_reference(shared_collector):
    """The page on HTTP names each request of the OpenAPI document, and none that is not there."""
    paths = shared_collector.get("/api/v1/openapi.json").json()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    page = (DOCS / "reference" / "http.md").read_text()
    assert set(re.findall(r"^\| `([A-Z]+ /(?:api|badge|healthz|metrics|readyz)[^`?]*)`", page, re.MULTILINE)) == served


def in_background(block: Block, environment: dict[str, str], log: Path) -> Iterator[contextlib.AbstractContextManager[None]]:
    """The servers that a block starts."""
    for command in commands(block):
        yield serve(["bash", "-c", f"exec {command.line}"], environment, log, environment["ROTA_ENDPOINT"] + "/readyz")


def follow(block: Block, work: Path, environment: dict[str, str]) -> None:
    """Run the commands of a block. Those that read are repeated until they show it: what was just sent takes a moment."""
    for command in commands(block):
        deadline = time.monotonic() + PATIENCE_SECONDS
        done = run(command.line, work, environment)
        while not as_shown(done, command.output) and command.line.startswith(("rota ", "curl ")) and time.monotonic() < deadline:
            time.sleep(0.2)
            done = run(command.line, work, environment)
        where = f"{block.page}:{block.line}: $ {command.line}"
        assert as_shown(done, command.output), f"{where}\n--- shown\n{command.output}\n--- printed\n{done.stdout}{done.stderr}"


def as_shown(done: subprocess.CompletedProcess[str], shown: str) -> bool:
    return done.returncode == 0 and looks_like(done.stdout, shown)


def run(line: str, work: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=work, env=environment, capture_output=True, text=True, check=False)
