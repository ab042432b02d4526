"""What code ran: read from real repositories that git made, and from the texts in them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from rota import _code
from rota.wire import names

FOREVER = 1 << 62  # Unix time in ns: nothing changes after it
Git = Callable[..., str]


def told(path: Path, since_ns: int = FOREVER) -> dict[str, object]:
    """What a run that began then tells of the script."""
    found = _code.attributes(str(path), os.stat(path), since_ns)
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in the repository, or ``at`` another place; returns what it printed."""
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    author = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "protocol.file.allow=always")

    def run(*words: str, at: Path = tmp_path / "repository") -> str:
        done = subprocess.run(["git", "-C", at, *author, *words], env=settings, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit of ``jobs/job.py``, on the branch ``etl/main``."""
    folder = tmp_path / "repository"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs/job.py").write_text("pass\n")
    git("init", "--quiet")
    git("checkout", "--quiet", "-b", "etl/main")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("remote", "add", "origin", "https://me:secret@example.org/etl/jobs.git")
    return folder


def test_commit_branch_and_origin(repository, git):
    """Of the repository around the script, without the password in the origin's address."""
    assert told(repository / "jobs/job.py") == {
        names.VCS_REVISION: git("rev-parse", "HEAD"), names.VCS_HEAD: "etl/main", names.VCS_URL: "https://example.org/etl/jobs",
    }  # fmt: skip


def test_packed_branches(repository, git):
    """After `git gc` the branch is no file of its own; a branch whose name begins alike is another."""
    commit = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "etl/main2")
    git("commit", "--quiet", "--allow-empty", "-m", "two")
    git("checkout", "--quiet", "etl/main")
    git("pack-refs", "--all")
    assert not (repository / ".git/refs/heads/etl/main").exists()
    assert told(repository / "jobs/job.py")[names.VCS_REVISION] == commit


def test_a_head_without_a_branch(repository, git):
    """As a deployment by tag or commit leaves it: a commit and no branch."""
    git("checkout", "--quiet", "--detach")
    found = told(repository / "jobs/job.py")
    assert (found[names.VCS_REVISION], names.VCS_HEAD in found) == (git("rev-parse", "HEAD"), False)


def test_a_worktree(repository, git, tmp_path):
    """Its HEAD is its own; its branches and its origin are the repository's."""
    tree = tmp_path / "tree"
    git("worktree", "add", "--quiet", "-b", "other", str(tree))
    git("commit", "--quiet", "--allow-empty", "-m", "two", at=tree)
    assert told(tree / "jobs/job.py") == {
        names.VCS_REVISION: git("rev-parse", "other"), names.VCS_HEAD: "other", names.VCS_URL: "https://example.org/etl/jobs",
    }  # fmt: skip


def test_a_submodule(repository, git, tmp_path):
    """Its commit is its own, wherever its .git is."""
    (tmp_path / "outer").mkdir()
    git("init", "--quiet", at=tmp_path / "outer")
    git("submodule", "--quiet", "add", str(repository), "inner", at=tmp_path / "outer")
    assert told(tmp_path / "outer/inner/jobs/job.py")[names.VCS_REVISION] == git("rev-parse", "HEAD")


def test_what_changed_during_the_run_is_not_told(repository, git):
    """A pull while it ran: neither commit is told; the script's hash is, unless the script changed as well."""
    script = repository / "jobs/job.py"
    time.sleep(0.02)  # the clock of a file system is coarse
    began = time.time_ns()
    time.sleep(0.02)
    git("commit", "--quiet", "--allow-empty", "-m", "two")
    assert told(script, began) == {names.CODE_SHA256: hashlib.sha256(b"pass\n").hexdigest()}
    script.write_text("pass # new\n")
    assert told(script, began) == {}


def test_a_deployment_during_the_run_is_not_told(tmp_path):
    """Another file stands where the script was, by a link that was turned or a file that was put there; or none does."""
    for number in (1, 2):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}/job.py").write_text(f"{number}\n")
    link, script = tmp_path / "current", str(tmp_path / "current/job.py")
    link.symlink_to("release1")
    at_start = os.stat(script)
    assert _code.attributes(script, at_start, FOREVER)
    link.unlink()
    assert _code.attributes(script, at_start, FOREVER) == {}
    link.symlink_to("release2")
    assert _code.attributes(script, at_start, FOREVER) == {}


def test_a_script_in_no_repository_is_known_by_its_hash(tmp_path):
    """As sha256sum prints it; not of a large file, which would take time, and not of a pipe."""
    script = tmp_path / "job.py"
    script.write_bytes(b"x" * (128 << 10))
    assert told(script) == {names.CODE_SHA256: hashlib.sha256(script.read_bytes()).hexdigest()}
    script.write_bytes(b"x" * (128 << 10) + b"y")
    os.mkfifo(tmp_path / "pipe")
    assert told(script) == told(tmp_path / "pipe") == {}


def test_what_is_installed_is_not_of_the_repository_around(repository, monkeypatch):
    """A virtual environment inside a repository holds other people's programs."""
    monkeypatch.setattr(sys, "prefix", str(repository / ".venv"))
    (repository / ".venv/bin").mkdir(parents=True)
    (repository / ".venv/bin/tool").write_text("pass\n")
    assert list(told(repository / ".venv/bin/tool")) == [names.CODE_SHA256]
    assert names.VCS_REVISION in told(repository / "jobs/job.py")


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/.invalid\n", "ref: refs/heads/gone\n", "ref: refs/../../x\n", "ref: x\n", "abc\n"]
)
def test_a_head_that_tells_nothing(head, tmp_path):
    """New repositories, the reftable format, damage: the hash is told, and no commit."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(head)
    (tmp_path / "job.py").write_text("pass\n")
    assert list(told(tmp_path / "job.py")) == [names.CODE_SHA256]


@pytest.mark.parametrize("text", ["", "gitdir: /nowhere\n", "gitdir: .git\n", "x" * 100_000])
def test_a_git_file_that_leads_nowhere(text, tmp_path):
    """What a removed repository leaves of its worktree, or damage."""
    (tmp_path / ".git").write_text(text)
    (tmp_path / "job.py").write_text("pass\n")
    assert list(told(tmp_path / "job.py")) == [names.CODE_SHA256]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://example.org/etl/jobs.git", "https://example.org/etl/jobs"),
        ("https://me:p@ss@example.org:8443/etl/jobs/", "https://example.org:8443/etl/jobs"),
        ("https://token@example.org/etl/jobs?private_token=x#y", "https://example.org/etl/jobs"),
        ("https://example.org?private_token=x", "https://example.org"),
        ("ssh://git@example.org:22/etl/jobs.git", "ssh://example.org:22/etl/jobs"),
        ("git@example.org:etl/jobs.git", "ssh://example.org/etl/jobs"),
        ("me:secret@example.org:etl/jobs.git", ""),
        ("https://me:sec/ret@example.org/etl/jobs.git", ""),
        ("https://me:sec?ret@example.org/etl/jobs.git", ""),
        ("https://me:sec#ret@example.org/etl/jobs.git", ""),
        ("/srv/git/jobs.git", ""),
        ("file:///srv/git/jobs.git", ""),
        ("../jobs", ""),
        ("C:\\git\\jobs", ""),
        ("", ""),
    ],
)
def test_no_credentials_in_the_address(address, shown):
    """User, password and query never leave the host; a folder is no address."""
    assert _code.public_url(address) == shown
