"""The examples: real scripts, each before and after two lines of rota."""

from __future__ import annotations

import difflib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in (EXAMPLES / "before").glob("*.py"))


def test_every_example_has_a_before_and_an_after():
    """Each script stands twice, so that a reader can compare the two."""
    assert sorted(path.name for path in (EXAMPLES / "after").glob("*.py")) == NAMES
    assert {"disk_check.py", "etl_airports.py", "flaky_report.py", "stuck_sync.py"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_after_is_before_plus_two_lines(name):
    """Adopting rota is exactly two added lines, the import and the call; nothing else changes."""
    before, after = (source(kind, name) for kind in ("before", "after"))
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-?"]
    assert [line[0] for line in changes] == ["+", "+"]
    assert changes[0] == "+ import rota\n"
    assert re.fullmatch(r"\+ +rota\.watch\(.*\)\n", changes[1])


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [("disk_check.py", (), 0), ("etl_airports.py", (), 0), ("flaky_report.py", ("1",), 0), ("flaky_report.py", ("10",), 1)],
    ids=["disk", "etl", "report of a whole feed", "report of a broken feed"],
)
def test_it_leaves_output_and_exit_status_as_they_were(name, arguments, status, lonely_environment):
    """Standard output, standard error and exit status are byte-identical with and without rota.

    Only a traceback has to differ: it names the file and its lines, which moved by the two that were added. Those, and
    nothing else, are mapped back before the comparison.
    """
    before, after = (run(kind, name, arguments, lonely_environment) for kind in ("before", "after"))
    assert (before.returncode, after.returncode) == (status, status)
    assert after.stdout == before.stdout
    assert before.stdout
    assert traceback_as_before(after.stderr.decode(), name) == before.stderr.decode()


def test_the_broken_feed_fails_with_a_chained_exception(lonely_environment):
    """The failing example is a real failure: an exception with a cause, uncaught."""
    failed = run("before", "flaky_report.py", ("10",), lonely_environment)
    assert b"decimal.InvalidOperation" in failed.stderr
    assert b"The above exception was the direct cause" in failed.stderr
    assert failed.stderr.rstrip().splitlines()[-1].startswith(b"FeedError: line 147 of the feed")


@pytest.mark.parametrize("kind", ["before", "after"])
def test_the_stuck_example_waits_without_end(kind, lonely_environment):
    """The hanging example hangs in a system call, and TERM ends it as it would any script."""
    command = [sys.executable, str(EXAMPLES / kind / "stuck_sync.py")]
    with subprocess.Popen(command, env=lonely_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == b"waiting for the peer\n"
        with pytest.raises(subprocess.TimeoutExpired):
            stuck.wait(timeout=0.2)
        stuck.send_signal(signal.SIGTERM)
        assert stuck.communicate(timeout=10) == (b"", b"")
        assert stuck.returncode == -signal.SIGTERM


def test_the_etl_keeps_its_table_in_the_database_it_is_given(tmp_path, lonely_environment):
    """The example is a whole ETL: what it reports is in the SQLite file that its argument names."""
    import sqlite3

    database = tmp_path / "airports.sqlite"
    run("before", "etl_airports.py", (str(database),), lonely_environment)
    connection = sqlite3.connect(database)
    (rows,) = connection.execute("SELECT count(*) FROM airports").fetchone()
    connection.close()
    assert rows > 20_000


def test_the_backup_packs_a_folder_and_keeps_the_newest(tmp_path):
    """The shell job makes an archive that unpacks to its source, and removes all but the newest."""
    source_folder, destination = tmp_path / "photos", tmp_path / "backups"
    (source_folder / "2026").mkdir(parents=True)
    (source_folder / "2026" / "a.txt").write_text("a")
    destination.mkdir()
    for day in ("20260101", "20260102"):
        (destination / f"photos-{day}T000000Z.tar.gz").touch()
    done = subprocess.run([EXAMPLES / "backup.sh", source_folder, destination, "2"], capture_output=True, text=True, check=True)
    kept = sorted(path.name for path in destination.iterdir())
    assert kept[0] == "photos-20260102T000000Z.tar.gz"
    assert len(kept) == 2
    assert done.stdout == f"1 files in {kept[1]}\nremoved photos-20260101T000000Z.tar.gz\n"


@pytest.fixture
def lonely_environment(tmp_path):
    """No collector and no agent to be found: rota has only its own home."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ROTA_", "OTEL_", "TRACEPARENT"))}
    return {**inherited, "ROTA_HOME": str(tmp_path / "rota"), "ROTA_AGENT": "off", "ROTA_ENDPOINT": "http://127.0.0.1:9"}


def source(kind: str, name: str) -> list[str]:
    return (EXAMPLES / kind / name).read_text().splitlines(keepends=True)


def run(kind: str, name: str, arguments: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, EXAMPLES / kind / name, *arguments], env=environment, capture_output=True, check=False)


def traceback_as_before(text: str, name: str) -> str:
    """``text`` as it would read had the two lines never been added: the other folder, and each line's old number."""
    kept = [number for number, line in enumerate(source("after", name), start=1) if "rota" not in line]
    old_number = {new: old for old, new in enumerate(kept, start=1)}

    def moved_back(match: re.Match[str]) -> str:
        return f'File "{EXAMPLES / "before" / name}", line {old_number[int(match[1])]}'

    return re.sub(rf'File "{re.escape(str(EXAMPLES / "after" / name))}", line (\d+)', moved_back, text)
