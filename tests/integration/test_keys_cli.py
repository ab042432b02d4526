"""Keys of the API, as people meet them on the command line: made, used, refused, lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import otlp
import pytest
from collectors import CollectorProcess, until
from docs_blocks import DOCS, blocks
from servers import client_of, rota

Run = Callable[..., str]


@pytest.fixture
def collector(new_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    """One of its own: a key closes it."""
    return new_collector().start()


@pytest.fixture
def run(collector: CollectorProcess) -> Run:
    """Run one command, with a key or without; returns what it printed, or, with ``status``, what it said on stderr."""

    def run(*words: str, token: str = "", status: int = 0) -> str:
        ended = rota(*words, environment={**client_of(collector), "ROTA_TOKEN": token})
        assert ended.returncode == status, ended.stderr
        assert not (ended.stdout if status else ended.stderr)
        return ended.stderr if status else ended.stdout

    return run


@pytest.fixture
def admin(run: Run) -> str:
    """The first key."""
    key: str = json.loads(run("key", "create", "--scope", "admin", "--name", "ada", "--json"))["key"]
    return key


def test_the_first_key_says_what_it_changes(run: Run) -> None:
    """It prints the key, the line for a shell, and that a key is asked for from now on; the second one does not say that."""
    first = run("key", "create", "--scope", "admin").splitlines()
    key = first[0].split()[1]
    assert (first[0], first[1]) == (f"key      {key}", f"export ROTA_TOKEN={key}")
    said = "From now on the API, the dashboard and OTLP ask for a key"
    assert any(line.startswith(said) for line in first)
    assert said not in run("key", "create", "--scope", "admin", token=key)
    assert said not in run("key", "create", "--scope", "read", token=key)


def test_the_line_for_a_shell_is_one(collector: CollectorProcess) -> None:
    """A shell that evaluates it has the key."""
    script = 'eval "$(rota key create --scope admin --name ada | grep ^export)"; rota key ls --json'
    done = subprocess.run(["bash", "-c", script], env=client_of(collector), capture_output=True, text=True, check=True)
    assert [(each["scope"], each["name"]) for each in json.loads(done.stdout)] == [("admin", "ada")]


def test_json_is_the_item(run: Run, admin: str) -> None:
    """As the API answers; no address to ping."""
    item = json.loads(run("key", "create", "--scope", "operate", "--name", "night shift", "--json", token=admin))
    assert (item["scope"], item["name"], item["path"]) == ("operate", "night shift", None)
    assert item["key"].startswith("ro_")


def test_without_a_key_a_command_says_what_to_do(run: Run, admin: str) -> None:
    """What failed and how to get a key, in one line on stderr; with the key it is answered, from a file too."""
    said = run("ls", status=1)
    assert said.startswith(
        "rota: GET /api/v1/workflows needs a key: it came without `Authorization: Bearer KEY`. `rota key create"
    )
    assert "ROTA_TOKEN" in said
    assert said.count("\n") == 1
    assert "is unknown, was revoked, or has expired" in run("ls", token="rr_wrong", status=1)
    assert run("ls", "--json", token=admin) == "[]\n"


def test_a_key_may_be_in_a_file(run: Run, admin: str, collector: CollectorProcess) -> None:
    """ROTA_TOKEN_FILE names it."""
    file = collector.home.parent / "ada.key"
    file.write_text(admin + "\n")
    assert rota("ls", environment={**client_of(collector), "ROTA_TOKEN_FILE": str(file)}).returncode == 0


def test_a_key_of_too_low_a_scope_says_which_is_needed(run: Run, admin: str) -> None:
    """403 is one sentence and the next step."""
    key = json.loads(run("key", "create", "--scope", "read", "--name", "dashboard", "--json", token=admin))["key"]
    said = run("key", "ls", token=key, status=1)
    assert "GET /api/v1/keys needs a key of the scope admin, and 'dashboard' is of read." in said
    assert "`rota key create --scope admin`" in said


def test_the_list_shows_what_each_key_is_for(run: Run, admin: str) -> None:
    """Scope, and the workflows of a key for pings."""
    run("key", "create", "--workflow", "backup", token=admin)
    run("key", "create", token=admin)
    rows = run("key", "ls", token=admin).splitlines()[1:]
    assert [row.split()[1:3] for row in rows] == [["admin", "all"], ["ping", "backup"], ["ping", "all"]]


def test_what_would_lock_everybody_out_is_refused(run: Run) -> None:
    """The first key is an admin's, and the last admin's stays as long as others need it; after that the API is open."""
    assert "make an admin key first" in run("key", "create", "--scope", "read", status=1)
    made = json.loads(run("key", "create", "--scope", "admin", "--json"))
    read = json.loads(run("key", "create", "--scope", "read", "--json", token=made["key"]))
    assert f"nobody could revoke read {read['id'][:8]}" in run("key", "rm", made["id"], token=made["key"], status=1)
    run("key", "rm", read["id"], token=made["key"])
    run("key", "rm", made["id"], token=made["key"])
    assert run("ls", "--json") == "[]\n"


def test_jobs_need_a_key_too(collector: CollectorProcess, run: Run, admin: str) -> None:
    """What a script sends without one is 401; with one to ingest it is taken. Whether the collector is well, anybody may ask."""
    facts, made = otlp.logs(otlp.whole_run(1)), run("key", "create", "--scope", "ingest", "--json", token=admin)
    refused = collector.post("/v1/logs", facts)
    assert (refused.status_code, refused.json()["code"]) == (401, 16)
    assert "`rota key create --scope ingest`" in refused.json()["message"]
    sent = collector.post("/v1/logs", facts, headers={"Authorization": f"Bearer {json.loads(made)['key']}"})
    assert sent.status_code == 200
    until(lambda: json.loads(run("runs", "--json", token=admin)), "the run")
    assert collector.get("/readyz").status_code == 200


def test_what_was_refused_for_want_of_a_key_is_kept(collector: CollectorProcess, run: Run, admin: str, tmp_path: Path) -> None:
    """A script that has no key ends well and leaves its run in the spool; with a key in ROTA_TOKEN_FILE it is delivered."""
    home, file = tmp_path / "job", tmp_path / "ingest.key"
    job = {**client_of(collector), "ROTA_HOME": str(home), "ROTA_DETACH": "off", "ROTA_TOKEN_FILE": str(file)}
    script = "import rota; rota.watch('etl.nightly')"
    assert subprocess.run([sys.executable, "-c", script], env=job, check=True, capture_output=True).stderr == b""
    assert json.loads(run("runs", "--json", token=admin)) == []
    assert list((home / "spool").glob("l*/*.jsonl"))
    file.write_text(json.loads(run("key", "create", "--scope", "ingest", "--json", token=admin))["key"])
    assert rota("agent", "--once", environment=job).returncode == 0
    until(lambda: json.loads(run("runs", "--json", token=admin)), "the run")
    assert not list((home / "spool").glob("l*/*.jsonl"))


def test_a_revoked_key_is_refused_at_once(collector: CollectorProcess, run: Run, admin: str) -> None:
    """The process that receives is not the one that revokes: it knows by the time the revocation is answered."""
    for _ in range(20):
        made = json.loads(run("key", "create", "--scope", "ingest", "--json", token=admin))
        sending = {"Authorization": f"Bearer {made['key']}"}
        assert collector.post("/v1/logs", {}, headers=sending).status_code == 200
        assert httpx.delete(f"{collector.url}/api/v1/keys/{made['id']}", headers={"Authorization": f"Bearer {admin}"}).is_success
        assert collector.post("/v1/logs", {}, headers=sending).status_code == 401


def test_a_key_is_rotated(collector: CollectorProcess, run: Run, admin: str) -> None:
    """The successor is for the same, and the old one goes on for as long as was asked; both facts are in the list."""
    made = json.loads(run("key", "create", "--scope", "read", "--pattern", "a.*", "--pattern", "b.*", "--json", token=admin))
    new = json.loads(run("key", "rotate", made["id"][:8], "--overlap", "1h", "--json", token=admin))
    assert (new["scope"], new["patterns"], new["expires_at"]) == ("read", ["a.*", "b.*"], None)
    assert run("ls", "--json", token=made["key"]) == run("ls", "--json", token=new["key"]) == "[]\n"
    gone = json.loads(run("key", "rotate", new["id"], "--overlap", "0s", "--json", token=admin))
    assert "has expired" in run("ls", token=new["key"], status=1)
    assert run("ls", "--json", token=gone["key"]) == "[]\n"


def test_who_changed_what_is_listed(run: Run, admin: str) -> None:
    """Each change with who, with which key, what, and to what; no key is in it."""
    made = json.loads(run("key", "create", "--scope", "read", "--name", "dashboard", "--json", token=admin))
    run("key", "rm", made["id"], token=admin)
    found = json.loads(run("audit", "--json", token=admin))
    assert [(each["action"], each["key"]) for each in found] == [
        ("key.revoke", "ada"),
        ("key.create", "ada"),
        ("key.create", None),
    ]
    assert found[1]["after"] == {"scope": "read", "name": "dashboard"}
    assert "@" in found[1]["by"]
    text = run("audit", "--json", token=admin)
    assert made["key"] not in text
    assert admin not in text
    (row,) = run("audit", made["id"], "--action", "key.revoke", token=admin).splitlines()[1:]
    assert "key.revoke" in row


def test_a_lost_admin_key_is_no_end(collector: CollectorProcess, run: Run, admin: str) -> None:
    """What the page on keys says to do opens the API again; keys for pings stay."""
    run("key", "create", "--workflow", "backup", token=admin)
    (block,) = [each for each in blocks(DOCS / "keys.md") if each.kind == "sh"]
    collector.stop()
    subprocess.run(["bash", "-c", block.body], env=client_of(collector), check=True)
    collector.start()
    assert [(each["scope"], bool(each["revoked_at"])) for each in json.loads(run("key", "ls", "--json"))] == [
        ("admin", True),
        ("ping", False),
    ]
