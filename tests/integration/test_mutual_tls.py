"""Clients of a collector that wants their certificate: command line, scripts, agent and dashboard, with one and without."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from agents import agent
from certificates import Authority, Pair
from collectors import CollectorProcess
from execs import run_exec
from scripts import EXTREMES, PYTHONS, SDK
from servers import clean_environment, poll, rota

from rota.agent import raw
from rota.agent.answer import Unavailable
from rota.agent.target import target
from rota.wire import tls
from rota_dashboard import client
from rota_dashboard.client import Collector, CollectorAway

CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY = tls.NAMES
WANTED = f"If it asks for a client certificate, set {CLIENT_CERTIFICATE} and {CLIENT_KEY}"


@pytest.fixture
def ours(authority) -> Pair:
    """A certificate that the collector takes."""
    return authority.sign("client")


@pytest.fixture
def stranger(tmp_path) -> Pair:
    """One that it does not take."""
    return Authority(tmp_path, "elsewhere").sign("client")


def shown(authority: Authority, pair: Pair | None) -> dict[str, str]:
    """The settings of a client that trusts the collector, and has that certificate."""
    own = {CLIENT_CERTIFICATE: str(pair.certificate), CLIENT_KEY: str(pair.key)} if pair else {}
    return {CERTIFICATE: str(authority.certificate), **own}


@pytest.fixture
def environment(secure, tmp_path, authority, ours) -> dict[str, str]:
    """A user's on another host than the collector's, with a certificate."""
    return clean_environment(tmp_path / "home", ROTA_ENDPOINT=secure.url, **shown(authority, ours))


@pytest.fixture
def without(environment) -> dict[str, str]:
    """The same, without a certificate."""
    return {name: value for name, value in environment.items() if name not in (CLIENT_CERTIFICATE, CLIENT_KEY)}


@pytest.fixture
def dashboard(secure, monkeypatch) -> Iterator[Callable[[dict[str, str]], Collector]]:
    """The dashboard's client, in a process with these settings; it forgets connections made with others."""

    def forget() -> None:
        if client._pool.cache_info().currsize:
            client._pool(secure.url).close()
        client._pool.cache_clear()

    def asking(settings: dict[str, str]) -> Collector:
        forget()
        for name in ("ROTA_ENDPOINT", *tls.NAMES):
            monkeypatch.setenv(name, {"ROTA_ENDPOINT": secure.url, **settings}.get(name, ""))
        return Collector(secure.url)

    yield asking
    forget()


def arrived(collector: CollectorProcess, workflow: str) -> list[str]:
    """The states of that workflow's runs, once there is one that ended."""
    found = poll(lambda: collector.item("/runs", workflow=workflow, state="succeeded")["items"], f"no run of {workflow}")
    return [run["state"] for run in found]


@pytest.mark.parametrize("version", EXTREMES)
def test_the_command_line_shows_the_certificate(environment, version):
    """`rota ls --json` is answered, under the oldest CPython and the newest; a proxy is not asked for what is on this machine."""
    settings = {**environment, "PYTHONPATH": str(SDK), "https_proxy": "http://127.0.0.1:1"}
    command = [PYTHONS[version], "-S", "-m", "rota", "ls", "--json"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(json.loads(done.stdout), list)


def test_the_doctor_says_that_the_collector_can_be_reached(environment):
    """The endpoint is well, and the settings that make it so are shown."""
    done = rota("doctor", "--json", environment=environment)
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert (done.returncode, found["endpoint"]["ok"]) == (0, True), done.stdout
    assert f"{CLIENT_CERTIFICATE}={environment[CLIENT_CERTIFICATE]}" in found["settings"]["message"]


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf", "grpc"])
def test_a_detached_shipper_shows_the_certificate(secure, environment, tmp_path, protocol):
    """What `rota exec` leaves behind arrives, by each protocol: rota's own way, and the official exporters'."""
    address = f"https://{secure.addresses['grpc']}" if protocol == "grpc" else secure.url
    settings = {"ROTA_ENDPOINT": "", "OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    name = f"detached.{protocol.replace('/', '.')}"
    done = run_exec("--name", name, "--", "true", home=tmp_path / "home", env={**environment, **settings, "ROTA_AGENT": "off"})
    assert (done.code, arrived(secure, name)) == (0, ["succeeded"])


def test_policies_come_to_who_sends_by_grpc(secure, environment, tmp_path):
    """The answers over gRPC tell that there are others, and where: `rota agent --once` brings them, and takes them away."""
    settings = {"ROTA_ENDPOINT": "", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"https://{secure.addresses['grpc']}"
    for policy, is_there in (({"retry": {"attempts": 2}}, True), ({}, False)):
        secure.put("/api/v1/workflows/by.grpc/policy", policy)
        done = rota("agent", "--once", environment={**environment, **settings})
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "home/policy/by.grpc.json").exists() == is_there


def test_an_agent_shows_the_certificate(secure, environment, tmp_path):
    """A resident agent carries what `rota exec` tells."""
    with agent({**environment, "ROTA_DETACH": "off"}, tmp_path / "agent.log"):
        run_exec("--name", "carried", "--", "true", home=tmp_path / "home", env={**environment, "ROTA_DETACH": "off"})
        assert arrived(secure, "carried") == ["succeeded"]


def test_the_dashboard_shows_the_certificate(dashboard, authority, ours):
    """Its pages ask the collector with it."""
    assert dashboard(shown(authority, ours)).me()["is_open"]


def test_without_a_certificate_the_command_line_says_what_to_set(secure, without):
    """One sentence, exit status 1; the doctor says the same of the endpoint."""
    done = rota("ls", environment=without)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"rota: cannot reach the collector at {secure.url} (")
    assert done.stderr.endswith(f"). {WANTED}\n")
    done = rota("doctor", environment=without)
    assert done.returncode == 1
    assert f"BAD  endpoint  {secure.url} cannot be reached" in done.stdout
    assert WANTED in done.stdout


def test_a_certificate_from_elsewhere_is_named(environment, stranger):
    """Which it is, and whose the collector takes."""
    given = {CLIENT_CERTIFICATE: str(stranger.certificate), CLIENT_KEY: str(stranger.key)}
    done = rota("ls", environment={**environment, **given})
    assert f"it does not take {CLIENT_CERTIFICATE}={stranger.certificate}: " in done.stderr
    assert "ROTA_TLS_CLIENT_CA" in done.stderr


def test_a_collector_that_cannot_be_believed_is_not_asked(environment):
    """The setting for its authority is named."""
    done = rota("ls", environment={**environment, CERTIFICATE: ""})
    assert f"Set {CERTIFICATE} to the PEM file of the authority that signed its certificate" in done.stderr


def test_plain_http_to_a_collector_that_speaks_tls(secure, environment):
    """Who forgot the s is told."""
    done = rota("ls", environment={**environment, "ROTA_ENDPOINT": f"http://{secure.addresses['http']}"})
    assert "If it speaks TLS, set ROTA_ENDPOINT to https://" in done.stderr


def test_a_file_that_is_not_there_is_named(environment, tmp_path):
    """By the command line and by the doctor, before anybody is asked."""
    environment = {**environment, CLIENT_KEY: str(tmp_path / "none.pem")}
    expected = f"{CLIENT_KEY}={tmp_path / 'none.pem'}: No such file or directory. Set it to a PEM file that this user may read"
    assert rota("ls", environment=environment).stderr == f"rota: {expected}\n"
    assert expected in rota("doctor", environment=environment).stdout


def test_an_agent_without_a_certificate_says_what_to_set(without, tmp_path):
    """In its log; what it could not deliver stays."""
    log = tmp_path / "agent.log"
    with agent({**without, "ROTA_DETACH": "off"}, log):
        run_exec("--name", "kept", "--", "true", home=tmp_path / "home", env={**without, "ROTA_DETACH": "off"})
        poll(lambda: WANTED in log.read_text(), "it says nothing", log)
    assert list((tmp_path / "home/spool").rglob("*.logs.jsonl"))


def test_the_dashboard_without_a_certificate_says_what_to_set(dashboard, authority, tmp_path):
    """Also when a file is gone after the start."""
    gone = Pair(tmp_path / "none.pem", tmp_path / "none.key")
    for pair, hint in ((None, WANTED), (gone, f"{CLIENT_CERTIFICATE}={gone.certificate}: No such file or directory")):
        with pytest.raises(CollectorAway) as away:
            dashboard(shown(authority, pair)).me()
        assert away.value.hint.startswith(hint)


def test_a_renewed_certificate_is_used(dashboard, authority, ours, stranger):
    """Agent and dashboard read the files again after a refusal: certificates live shorter than either."""
    asked, goal = dashboard(shown(authority, stranger)), target("logs")
    with pytest.raises(Unavailable, match=CLIENT_CERTIFICATE):
        raw.is_rota(goal)
    with pytest.raises(CollectorAway):
        asked.me()
    for new, old in zip(ours, stranger, strict=True):
        shutil.copy(new, old)
    assert raw.is_rota(goal)
    assert asked.me()["is_open"]
