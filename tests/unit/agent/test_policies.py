"""The documents of a home, kept as the collector has them."""

from __future__ import annotations

import json

import pytest
from permissions import collector

from rota.agent import by_grpc, policies
from rota.agent.policies import Keeping, Way, sync
from rota.agent.target import Target
from rota.control.document import version_of, write


@pytest.fixture
def server(monkeypatch):
    """A collector, to which the environment points."""
    with collector() as running:
        monkeypatch.setenv("ROTA_ENDPOINT", running.address)
        yield running


def files(home) -> dict[str, str]:
    """Name and text of everything in the policy folder."""
    return {path.name: path.read_text() for path in sorted((home / "policy").iterdir())}


def test_the_set_is_written_whole(tmp_path):
    """One file a workflow, its name quoted; the number beside; nothing else."""
    write(str(tmp_path), 7, {"etl.nightly": {"version": 2}, "a/b ü": {"version": 1}})
    assert files(tmp_path) == {".version": "7", "a%2Fb%20%C3%BC.json": '{"version": 1}', "etl.nightly.json": '{"version": 2}'}
    assert version_of(str(tmp_path)) == 7


def test_a_workflow_that_asks_no_more_has_no_file(tmp_path):
    """What is not in the set goes, and the rest stays as it is, untouched."""
    write(str(tmp_path), 1, {"a": {"version": 1}, "b": {"version": 1}})
    before = (tmp_path / "policy" / "a.json").stat()
    write(str(tmp_path), 2, {"a": {"version": 1}})
    assert list(files(tmp_path)) == [".version", "a.json"]
    assert (tmp_path / "policy" / "a.json").stat().st_ino == before.st_ino


def test_a_home_in_which_nothing_asks_stays_without_a_folder(tmp_path):
    """The one look of a script finds nothing there."""
    write(str(tmp_path), 0, {})
    assert list(tmp_path.iterdir()) == []


def test_the_collector_is_asked_for_what_changed_since(tmp_path, server):
    """A set that is known is not sent again."""
    server.version, server.items = 5, {"etl": {"version": 1}}
    assert sync(str(tmp_path), Way())
    assert sync(str(tmp_path), Way())
    server.version, server.items = 6, {}
    assert sync(str(tmp_path), Way())
    assert server.known == [0, 5, 5]
    assert files(tmp_path) == {".version": "6"}


def test_who_is_no_collector_of_ours_changes_nothing(tmp_path, server):
    """Another receiver of OTLP at that address may answer whatever it likes."""
    write(str(tmp_path), 1, {"etl": {"version": 1}})
    server.is_rota, server.version = False, 9
    assert not sync(str(tmp_path), Way())
    assert Keeping([str(tmp_path / "spool")], print).look() == policies.FOREIGN_SECONDS
    assert "etl.json" in files(tmp_path)


@pytest.mark.parametrize(
    ("url", "insecure", "address"),
    [
        ("http://collector:4317", None, "http://collector:4318/x"),
        ("https://collector:4317", "true", "https://collector:4318/x"),
        ("collector:4317", None, "https://collector:4318/x"),
        ("collector:4317", "true", "http://collector:4318/x"),
        ("http://[::1]:4317", None, "http://[::1]:4318/x"),
    ],
)
def test_where_the_api_is_of_who_is_reached_over_grpc(monkeypatch, url, insecure, address):
    """On the same host, on the port that the answers tell, with TLS if the official exporter would use it."""
    if insecure:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", insecure)
    assert by_grpc.api_url(Target("logs", url, "grpc", {}), "4318") + "/x" == address


def test_while_nobody_answers_the_policies_stay_and_it_is_said_once(tmp_path, monkeypatch):
    """They hold on, and the agent asks less and less often."""
    monkeypatch.setenv("ROTA_ENDPOINT", "http://127.0.0.1:1")
    write(str(tmp_path), 1, {"etl": {"version": 1}})
    told: list[str] = []
    keeping = Keeping([str(tmp_path / "spool")], told.append)
    waits = [keeping.look() for _ in range(8)]
    assert min(waits) >= policies.ASK_SECONDS
    assert waits[-1] > waits[0]
    assert len(told) == 1
    assert json.loads(files(tmp_path)["etl.json"]) == {"version": 1}
