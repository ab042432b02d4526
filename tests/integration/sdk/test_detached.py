"""The detached shipper: what a script must not send itself leaves after its end, and the script does not notice."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

from collectors import CollectorProcess, until
from scripts import Outcome, run_script
from servers import clean_environment

SLOW = {"ROTA_ENDPOINT": "", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "ROTA_DETACH": "on"}
SCRIPT = "import rota\nrota.watch()\nprint('work done')\n"


def shipped_later(source: str, home: Path, url: str, **settings: str) -> Outcome:
    """Run a script whose facts only a shipper may carry to ``url``."""
    return run_script(source, home, sys.executable, environment={**SLOW, "OTEL_EXPORTER_OTLP_ENDPOINT": url, **settings})


def test_the_facts_arrive_after_the_script_has_ended(home: Path, collector: CollectorProcess) -> None:
    """With a transport that is too slow for a script, its run is in the collector soon after, and nothing stays in the spool."""
    outcome = shipped_later(SCRIPT, home, collector.url)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"work done\n", b"")
    until(lambda: [run["state"] for run in collector.all_runs()] == ["succeeded"], "the run")
    until(lambda: not list((home / "spool").rglob("*.jsonl")), "an empty spool")


def test_what_an_earlier_script_left_is_shipped_by_the_next(home: Path, collector: CollectorProcess) -> None:
    """A run that could not be delivered, and one that was killed, arrive with the next one that finds the collector."""
    run_script(SCRIPT, home, name="first.py")
    run_script("import rota, os\nrota.watch()\nos.kill(os.getpid(), 9)", home, name="killed.py")
    run_script(SCRIPT, home, name="next.py", environment={"ROTA_ENDPOINT": collector.url, "ROTA_DETACH": "on"})

    def ended() -> dict[str, str]:
        return {run["workflow"]: run["state"] for run in collector.all_runs() if run["ended_at"]}

    until(lambda: ended() == {"first": "succeeded", "killed": "crashed", "next": "succeeded"}, "all three runs")


def test_the_shipper_holds_nothing_of_the_script(home: Path, tmp_path: Path) -> None:
    """While it still tries, the script's pipe is at its end and a lock that children inherit is free: cron can start the next."""
    source = """
        import fcntl, os, sys
        import rota
        rota.watch()
        lock = os.open(os.environ["LOCK"], os.O_RDWR | os.O_CREAT)
        os.set_inheritable(lock, True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        shipped_later(source, home, "http://127.0.0.1:%d" % silent.getsockname()[1], LOCK=str(tmp_path / "lock"))
        connection, _ = silent.accept()  # it is at work
        with open(tmp_path / "lock", "rb") as lock, connection:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    until((home / "spool" / "once.failed").exists, "its end")


def test_it_can_be_forbidden(home: Path, collector: CollectorProcess) -> None:
    """With ROTA_DETACH=off nothing is started, and the facts wait in `left/`."""
    shipped_later(SCRIPT, home, collector.url, ROTA_DETACH="off")
    assert {path.parent.name for path in (home / "spool").rglob("*.jsonl")} == {"left"}


def test_what_is_done_after_the_last_words_takes_nothing_with_it(home: Path, collector: CollectorProcess) -> None:
    """An `atexit` handler older than `watch()`, as a daemon thread, works after the run has ended: all of both arrives."""
    source = """
        import atexit
        import rota
        def late():
            with rota.task("late"):
                pass
        atexit.register(late)
        rota.watch()
    """
    shipped_later(source, home, collector.url)
    shipper = [sys.executable, "-m", "rota", "agent", "--once"]
    until(lambda: not list((home / "spool/left").glob("*")), "the shipper that the script started")
    subprocess.run(shipper, env=clean_environment(home, ROTA_ENDPOINT=collector.url), check=True)
    [run] = collector.applied().all_runs()
    assert run["state"] == "succeeded"
    assert [span["name"] for span in collector.item(f"/runs/{run['id']}/spans")["items"]] == ["job", "late"]
    assert not list((home / "spool").rglob("*.jsonl"))
