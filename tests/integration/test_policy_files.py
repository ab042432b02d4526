"""`rota policy` with files: folders, JSON beside YAML, where they lie in Git, and which file an error is about."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rota.cli import _policy_files

Rota = Any


def git(folder: Path, *words: str) -> str:
    """Run git there, as nobody's."""
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    env = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(["git", "-C", str(folder), *words], env=env, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Policies of two workflows, in YAML and in JSON."""
    place = tmp_path / "repo" / "policies"
    place.mkdir(parents=True)
    (place / "one.yaml").write_text("workflow: files.one\nper: host\n")
    (place / "two.json").write_text(json.dumps([{"workflow": "files.two", "expect": {"failures": 2}}]))
    (place / "notes.txt").write_text("not: [a policy")
    return place


def test_a_folder_is_applied_as_one(rota: Rota, folder: Path) -> None:
    """Its files are stored together, JSON and YAML alike; applied again, nothing is new."""
    first = json.loads(rota("policy", "apply", "-f", str(folder), "--json"))
    assert [(item["workflow"], item["change"], item["version"]) for item in first] == [
        ("files.one", "new", 1), ("files.two", "new", 1),
    ]  # fmt: skip
    again = json.loads(rota("policy", "apply", "-f", str(folder), "--json"))
    assert [(item["change"], item["version"]) for item in again] == [("same", 1)] * 2
    stored = json.loads(rota("policy", "get", "--all", "--source", first[0]["from"], "--json"))
    assert stored == [{"workflow": "files.one", "per": "host"}, {"workflow": "files.two", "expect": {"failures": 2}}]
    assert rota("policy", "diff", "-f", str(folder), "--exit-code") == "no difference\n"


def test_an_error_names_the_file(rota: Rota, folder: Path) -> None:
    """Of several files, the one that cannot be used is named; none is stored."""
    (folder / "three.yaml").write_text("workflow: files.three\nper: [\n")
    said = rota("policy", "apply", "-f", str(folder), status=1)
    assert said.startswith(f"rota: {folder}/three.yaml: the document cannot be read: line 3")
    (folder / "three.yaml").write_text("workflow: files.three\nper: hst\n")
    assert f"{folder}/three.yaml: nothing was stored: per: 'hst'" in rota("policy", "apply", "-f", str(folder), status=1)
    assert "files.three" in rota("policy", "get", "files.three", status=1)


def test_where_a_file_lies_in_git(folder: Path) -> None:
    """The origin without credentials, the path in the repository, the commit; `+changes` when the file is another by now."""
    repository = folder.parent
    git(repository, "init", "-q")
    git(repository, "remote", "add", "origin", "https://ada:secret@git.example.org/acme/etl.git")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    commit = git(repository, "rev-parse", "HEAD")
    assert _policy_files.given([str(folder)])[-2:] == ("git.example.org/acme/etl/policies", commit)
    one = str(folder / "one.yaml")
    assert _policy_files.given([one])[-2:] == ("git.example.org/acme/etl/policies/one.yaml", commit)
    (folder / "two.json").write_text("[]")
    assert _policy_files.given([one]).revision == commit
    assert _policy_files.given([str(folder)]).revision == commit + "+changes"
    assert _policy_files.given([one], "elsewhere").place == "elsewhere"
    git(repository, "remote", "remove", "origin")
    assert _policy_files.given([one]).place == "repo/policies/one.yaml"


def test_where_a_file_lies_without_git(folder: Path) -> None:
    """The host and the path; of several paths, and of stdin, nothing is known."""
    one = folder / "one.yaml"
    assert _policy_files.given([str(one)])[-2:] == (f"{os.uname().nodename}:{one.resolve()}", None)
    assert _policy_files.given([str(one), str(folder / "two.json")]).place is None


def test_what_is_shown_of_it(rota: Rota, folder: Path) -> None:
    """`get` and `get --versions` show a short commit; a change that somebody makes by hand has none."""
    words = ["policy", "apply", "-f", str(folder / "one.yaml"), "--source", "git.example.org/acme/shown.yaml"]
    rota(*words)
    assert "from      git.example.org/acme/shown.yaml\n" in rota("policy", "get", "files.one")
    assert "git.example.org/acme/shown.yaml" in rota("policy", "get", "files.one", "--versions")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["apply", "-f", "-", "--prune"], "--prune needs to know where the policies come from"),
        (["apply", "-f", "/nowhere/rota.yaml"], "cannot read /nowhere/rota.yaml: No such file"),
        (["get"], "name a workflow, or say --all"),
        (["diff"], "name a workflow, or files with -f"),
    ],
)
def test_what_is_missing_is_said(rota: Rota, words: list[str], said: str) -> None:
    """One sentence, and what to do."""
    assert said in rota("policy", *words, stdin="workflow: a\n", status=1)


def test_pruning_is_shown_before(rota: Rota, folder: Path) -> None:
    """`diff` and `--dry-run` show what `--prune` would take away; without it nothing goes."""
    place = "git.example.org/acme/pruned.yaml"
    words = ["-f", str(folder), "--source", place]
    rota("policy", "apply", *words)
    (folder / "two.json").unlink()
    assert "+++ files.two is not in it; --prune takes it away" in rota("policy", "diff", *words)
    assert "files.two" not in rota("policy", "apply", *words)
    assert "removed" in rota("policy", "apply", *words, "--prune", "--dry-run")
    assert "files.two" in rota("policy", "get", "--all", "--source", place)
    rota("policy", "apply", *words, "--prune")
    assert rota("policy", "get", "--all", "--source", place) == 'workflow: "files.one"\nper: "host"\n'
