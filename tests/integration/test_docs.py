"""The commands in the documentation, run as a reader would: page by page, in order, in one folder."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from pathlib import Path

import pytest
from docs_blocks import DOCS, Block, blocks, commands, looks_like, pages
from servers import PATIENCE_SECONDS, clean_environment, collector, serve, with_ports

WITH_COMMANDS = [
    page for page in pages() if any(block.kind == "console" and "elsewhere" not in block.roles for block in blocks(page))
]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page, tmp_path):
    """Each command exits with 0 and prints what the page shows; a page that starts no server of its own finds a collector."""
    work = tmp_path / "work"
    work.mkdir()
    with contextlib.ExitStack() as running:
        if any("background" in block.roles for block in blocks(page)):
            environment = with_ports(clean_environment(tmp_path / "home"))
        else:
            environment = running.enter_context(collector(tmp_path / "home")).environment
        environment = {**environment, "COLUMNS": "200"}
        for block in blocks(page):
            if block.title:
                (work / block.title).write_text(block.body)
            elif "background" in block.roles:
                for command in commands(block):
                    shell = ["bash", "-c", f"exec {command.line}"]
                    ready = environment["ROTA_ENDPOINT"] + "/readyz"
                    running.enter_context(serve(shell, environment, tmp_path / "server.log", ready))
            elif block.kind == "console" and "elsewhere" not in block.roles:
                follow(block, work, environment)


def test_every_path_of_the_api_is_in_the_reference(tmp_path):
    """The page on HTTP names each path of the OpenAPI document, and none that is not there."""
    with collector(tmp_path / "home") as server:
        served = set(server.ask("/api/v1/openapi.json").json()["paths"])
    documented = re.findall(
        r"^\| `(?:GET|POST) (/(?:api|healthz|readyz)[^`?]*)`", (DOCS / "reference" / "http.md").read_text(), re.MULTILINE
    )
    assert set(documented) == served


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
