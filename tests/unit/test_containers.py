"""Containerfile and compose.yaml name paths, commands, ports and users that are really there. No container is needed to know."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from collectors import CollectorProcess, clean_environment

from rota import _config
from rota.cli import COMMANDS
from rota_collector.config import SETTINGS
from rota_dashboard import config as dashboard

TOP = Path(__file__).parent.parent.parent
INSTRUCTIONS = re.findall(r"(?m)^([A-Z]+) ((?:.*\\\n)*.*)$", (TOP / "Containerfile").read_text())
COMPOSE = yaml.safe_load((TOP / "compose.yaml").read_text())
DEFAULTS = {setting.name: setting.default for setting in (*_config.SETTINGS, *SETTINGS, *dashboard.SETTINGS)}


def all_of(instruction: str) -> list[str]:
    """The arguments of each such instruction, on one line."""
    return [re.sub(r"\s*\\\n\s*", " ", words) for name, words in INSTRUCTIONS if name == instruction]


def one(instruction: str) -> str:
    """The arguments of the only one."""
    (words,) = all_of(instruction)
    return words


def test_what_is_copied_is_there_and_sent():
    """Each source of a COPY is in the repository, and .dockerignore lets it through."""
    let_through = re.findall(r"(?m)^!(.*)$", (TOP / ".dockerignore").read_text())
    sources = [source for words in all_of("COPY") if "--from" not in words for source in words.split()[:-1]]
    assert [source for source in sources if not (TOP / source).exists()] == []
    assert sorted(sources) == sorted(let_through)


def test_every_package_of_the_wheel_is_copied():
    """A folder that the build takes into the wheel and that is not copied would fail the build."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {path.split("/")[0] for path in (*wheel["packages"], *wheel["shared-scripts"])}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    assert needed <= {source for words in all_of("COPY") for source in words.split()[:-1]}


def test_both_stages_have_the_same_python_by_tag():
    """A virtual environment that is copied needs the interpreter that it was made with, and a tag that says which."""
    images = [words.split()[0] for words in all_of("FROM")]
    assert len(set(images)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim", images[0])


def test_it_runs_as_somebody_who_owns_the_home_and_is_not_root():
    """USER is who was made, the volume is his and is ROTA_HOME."""
    home = one("VOLUME")
    uid, gid = one("USER").split(":")
    made = all_of("RUN")[-1]
    assert int(uid) > 0
    assert f"--uid {uid} --gid {gid} " in made
    assert f"install --directory --owner rota --group rota --mode 0700 {home}" in made
    assert f"ROTA_HOME={home}" in one("ENV")
    assert COMPOSE["services"]["collector"]["volumes"] == [f"home:{home}"]


def test_the_ports_are_those_of_the_settings():
    """EXPOSE names where the parts listen by default."""
    ports = {DEFAULTS[name].rpartition(":")[2] for name in ("ROTA_HTTP", "ROTA_GRPC", "ROTA_DASHBOARD")}
    assert set(one("EXPOSE").split()) == ports
    assert DEFAULTS["ROTA_DASHBOARD"] in COMPOSE["services"]["dashboard"]["healthcheck"]["test"][-1]


def test_the_commands_are_commands_of_rota():
    """What is run is `rota COMMAND`, without a shell in between, so that TERM reaches it."""
    assert json.loads(one("ENTRYPOINT")) == ["rota"]
    commands = [json.loads(one("CMD")), *(part["command"] for part in COMPOSE["services"].values())]
    assert {words[0] for words in commands} <= set(COMMANDS)


def test_compose_keeps_to_loopback_and_to_its_memory():
    """Nobody else's network, no port published, at most 1 GB, nothing written but the home and /tmp; settings are known."""
    for part in COMPOSE["services"].values():
        assert (part["network_mode"], "ports" in part) == ("host", False)
        assert part["mem_limit"] == "1g"
        assert (part["read_only"], part["tmpfs"], part["cap_drop"]) == (True, ["/tmp"], ["ALL"])
        assert {name for name in part.get("environment", {}) if name.startswith("ROTA_")} <= set(DEFAULTS)


def healthcheck(address: str) -> int:
    """The exit status of the image's HEALTHCHECK for a collector at ``address``."""
    words = json.loads(one("HEALTHCHECK").partition("CMD ")[2])
    environment = clean_environment(ROTA_HTTP=address)
    return subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, check=False).returncode


def test_the_health_check_tells_well_from_ill(collector):
    """0 when the collector is ready, else not."""
    assert healthcheck(collector.addresses["http"]) == 0
    collector.stop()
    assert healthcheck(collector.addresses["http"]) != 0


@pytest.mark.soak
def test_what_the_image_is_built_with_works(tmp_path: Path):
    """The build's own commands, run here in folders of their own, make an installation that starts and stops on TERM."""
    source, target = tmp_path / "src", tmp_path / "rota"
    source.mkdir()
    for words in all_of("COPY"):
        for name in () if "--from" in words else words.split()[:-1]:
            (shutil.copytree if (TOP / name).is_dir() else shutil.copy)(TOP / name, source / name)
    environment = {"UV_SYSTEM_CERTS": "1", **os.environ}  # trust what the machine trusts, as .ci/setup does
    for words in all_of("RUN")[:-1]:
        subprocess.run(["sh", "-ec", words.replace("/opt/rota", str(target))], cwd=source, env=environment, check=True)
    collector = Installed(tmp_path / "home", tmp_path / "stderr", PATH=f"{target}/bin:/usr/bin:/bin")
    try:
        collector.start()
        assert healthcheck(collector.addresses["http"]) == 0
        assert collector.stop() == 0
    finally:
        collector.close()


class Installed(CollectorProcess):
    """The collector as the image starts it."""

    def spawn(self) -> subprocess.Popen[bytes]:
        command: list[Any] = [*json.loads(one("ENTRYPOINT")), *json.loads(one("CMD"))]
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(command, env=clean_environment(**self.settings), stderr=stderr)
        return self.process
