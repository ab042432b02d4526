"""Where and what code ran, as the end of a run tells it, and the start in a pod."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from collectors import CollectorProcess
from execs import run_exec
from scripts import Outcome, run_script

from rota.wire import names

WATCH = "import rota, rota._run\nrota._run.WORTHY_NS = 0\nrota.watch()\n"  # also of the shortest run


def commit(folder: Path) -> str:
    """Make a repository of what is there; its commit."""
    author = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "one")):
        subprocess.run(["git", "-C", folder, *author, *words], check=True)
    done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def in_repository(tmp_path: Path, source: str = WATCH) -> tuple[Path, str]:
    """A script in a repository, and the commit."""
    script = tmp_path / "repository/job.py"
    script.parent.mkdir()
    script.write_text(source)
    return script, commit(script.parent)


def test_the_end_tells_the_commit(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """Of the repository around the script, also when the run fails; the start does not: it costs nothing there."""
    script, revision = in_repository(tmp_path, WATCH + "raise ValueError('row 7')\n")
    outcome = run("", path=script)
    assert (outcome.last["rota.run.state"], outcome.last[names.VCS_REVISION]) == ("failed", revision)
    assert names.VCS_REVISION not in outcome.events[0]


def test_the_end_tells_the_scripts_hash_elsewhere(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """Where no repository tells a commit, also when the script went to another folder."""
    script = tmp_path / "job.py"
    script.write_text(WATCH + "import os\nos.chdir('/')\n")
    assert run("", path=script.resolve()).last[names.CODE_SHA256] == hashlib.sha256(script.read_bytes()).hexdigest()


def test_no_library_is_loaded_to_tell_it(run: Callable[..., Outcome]) -> None:
    """Neither OpenSSL nor regular expressions: the end of a run is counted in microseconds."""
    outcome = run("""
        import atexit, sys
        before = set(sys.modules)
        atexit.register(lambda: print(*set(sys.modules) - before))
        import rota, rota._run
        rota._run.WORTHY_NS = 0
        rota.watch()
    """)
    assert outcome.last[names.CODE_SHA256]
    assert {b"hashlib", b"_hashlib", b"re", b"json", b"subprocess"} & set(outcome.stdout.split()) == set()


@pytest.mark.parametrize("source", ["os.remove(__file__)", "os.rename(__file__, __file__ + '~')"])
def test_a_script_that_is_gone_ends_as_ever(run: Callable[..., Outcome], source: str) -> None:
    """What cannot be read is absent, and nothing else is."""
    outcome = run(WATCH + "import os\n" + source)
    assert (outcome.code, outcome.stderr, outcome.states()) == (0, b"", ["running", "succeeded"])
    assert names.CODE_SHA256 not in outcome.last


def test_what_the_user_says_comes_first(home: Path) -> None:
    """The resource attributes of the environment, and facts, stand; nothing is found over them."""
    said = {"OTEL_RESOURCE_ATTRIBUTES": "process.linux.cgroup=mine"}
    outcome = run_script(WATCH + "rota.record(**{'rota.code.sha256': 'mine'})\n", home, environment=said)
    assert names.CGROUP not in outcome.last
    assert outcome.last[names.CODE_SHA256] == "mine"


def test_rota_exec_tells_it_of_its_command(home: Path, tmp_path: Path) -> None:
    """Of the script that the run is called after, whatever runs it."""
    script = tmp_path / "job.sh"
    script.write_text("sleep 0.3; exit 3\n")
    outcome = run_exec("nice", "sh", str(script), home=home)
    assert outcome.errors == ""
    assert outcome.last[names.CODE_SHA256] == hashlib.sha256(b"sleep 0.3; exit 3\n").hexdigest()
    assert names.CODE_SHA256 not in run_exec("sleep", "0.3", home=tmp_path / "other").last


def test_it_can_be_asked_for(collector: CollectorProcess, home: Path, tmp_path: Path) -> None:
    """By the API, and by SQL: which code ran, in which pod."""
    script, revision = in_repository(tmp_path)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAME": "nightly-x7k2d", "POD_NAMESPACE": "etl"}
    run_script("", home, path=script, environment={**pod, "ROTA_ENDPOINT": collector.url})
    collector.applied_of(home)
    (run,) = collector.all_runs()
    found: dict[str, Any] = collector.item(f"/runs/{run['id']}/attributes")["attributes"]
    assert (found[names.VCS_REVISION], found[names.POD_NAME]) == (revision, "nightly-x7k2d")
    query = """SELECT attributes ->> '$."vcs.ref.head.revision"' AS revision, resource ->> '$."k8s.namespace.name"' AS namespace
               FROM logs WHERE event_name = 'rota.run.state' ORDER BY logged_at DESC LIMIT 1"""
    assert collector.post("/api/v1/sql", {"query": query}).json()["items"] == [{"revision": revision, "namespace": "etl"}]


def test_a_short_run_is_not_asked(run: Callable[..., Outcome]) -> None:
    """Reading it costs up to two milliseconds: a run of less than 0.2 s would feel them."""
    assert not {names.HOST_ID, names.CODE_SHA256} & set(run("import rota\nrota.watch()\n").last)
