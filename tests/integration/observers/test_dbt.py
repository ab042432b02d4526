"""What is particular to dbt: a recorded invocation (dbt-core 1.11) in its log and its results, read in every way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment
from observed import Seen, seen
from observers.system import PROGRAMS
from orchestrators import SOURCES, python_of
from scripts import Outcome, read_back, run_script

from rota.wire import names

RECORDED = Path(__file__).parent / "recordings" / "dbt"
LOOKING = """
    import json, sys
    from rota_integrations.dbt.reading import Reading
    def look(memory):
        Reading([sys.argv[1]], None, "logs", "target").look(memory)
        return json.loads(json.dumps(memory))
"""
INVOCATION = json.loads((RECORDED / "target" / "run_results.json").read_text())["metadata"]["invocation_id"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that dbt was run in once."""
    return Path(shutil.copytree(RECORDED, tmp_path / "project"))


def look(project: Path, how: str, name: str = "home") -> Outcome:
    """What is told when it is looked at in that way."""
    home = project.parent / name
    told = run_script(LOOKING + how, home, args=(str(project),), environment={"PYTHONPATH": SOURCES}, name=name + ".py")
    assert (told.code, told.stderr, told.errors) == (0, b"", "")
    return told


def ids(told: Outcome) -> set[str]:
    """Of all that was told."""
    return {each[names.EVENT_ID] for each in told.events} | {span["spanId"] for span in told.spans}


def once(project: Path, name: str = "home") -> Seen:
    """The one run that is told in one look."""
    look(project, "    look({})", name)
    (run,) = seen(project.parent / name)
    return run


def test_an_invocation_is_told_by_its_log(project: Path) -> None:
    """Named by the project and the command; each node as dbt says it ended, with its error; each batch of a model for itself."""
    run = once(project)
    assert (run.workflow, run.states) == ("shop.build", ["running", "failed"])
    assert {name: task.last for name, task in run.tasks.items()} == {
        "orders": {"succeeded"}, "accepted_values_orders_id__1": {"succeeded"}, "unique_orders_id": {"succeeded"},
        "load": {"failed"}, "daily": {"succeeded"}, "history": {"succeeded"}, "report": {"upstream_failed"},
    }  # fmt: skip
    assert run.tasks["load"].errors == ["Runtime Error: Invalid Input Error: row 7"]
    assert sorted(run.tasks["daily"].attempts) == [f"model.shop.daily{batch}" for batch in ("", " 1 of 3", " 2 of 3", " 3 of 3")]


def test_rows_and_relations_are_facts_of_nodes(project: Path) -> None:
    """As the adapter counts them; a warning is the reason of a success."""
    spans = {span["name"]: span["attributes"] for span in look(project, "    look({})").spans}
    assert spans["orders"][names.DATASET_NAME] == '"shop"."main"."orders"'
    assert (spans["orders"][names.DATASET_ROWS], spans["orders"][names.DATASET_ACCESS]) == (2, "write")
    assert names.DATASET_NAME not in spans["load"]
    assert spans["accepted_values_orders_id__1"][names.REASON] == "warn"
    assert spans["unique_orders_id"][names.TEST_STATUS] == "pass"


def test_the_results_alone_tell_the_same_run(project: Path) -> None:
    """Where dbt logs text: its id, the ends of its nodes and their errors are those that a JSON log tells."""
    by_log = once(project)
    (project / "logs" / "dbt.log").write_text("12:00:00  Running with dbt=1.11.16\n")
    by_results = once(project, "results")
    assert (by_results.workflow, by_results.states) == (by_log.workflow, by_log.states)
    assert {name: task.errors for name, task in by_results.tasks.items()} == {n: t.errors for n, t in by_log.tasks.items()}
    assert all(task.last == by_log.tasks[name].last for name, task in by_results.tasks.items())
    told = [read_back(Outcome(0, b"", b"", project.parent / name)) for name in ("home", "results")]
    assert {each[names.RUN_ID] for each in told[0].events + told[1].events} == {INVOCATION}
    assert {span["spanId"] for span in told[1].spans} < {span["spanId"] for span in told[0].spans}


BY_LINES = """
    import os
    log = os.path.join(sys.argv[1], "logs", "dbt.log")
    lines = open(log).readlines()
    memory, written = {}, ""
    open(log, "w").close()
    for number, line in enumerate(lines):
        with open(log, "a") as file:
            file.write(line[:40])
        look(memory)                      # half a line, and nothing of it kept: as if it was killed before it wrote that down
        with open(log, "a") as file:
            file.write(line[40:].replace('"pid": %d' % PID, '"pid": %d' % os.getpid()))
        memory = look(memory)
        if number == len(lines) // 2:     # dbt puts its log aside
            os.rename(log, log + ".1")
""".replace("PID", str(json.loads((RECORDED / "logs" / "dbt.log").read_text().splitlines()[0])["info"]["pid"]))


def test_looking_again_at_each_line_tells_what_one_look_tells(project: Path, tmp_path: Path) -> None:
    """Nothing twice under another id and nothing missed, when the observer starts anew with each line, and the log is rotated."""
    twice = Path(shutil.copytree(RECORDED, tmp_path / "other" / "project"))
    (project / "target" / "run_results.json").unlink()  # which dbt writes near its end
    assert ids(look(project, BY_LINES)) == ids(look(twice, "    look({})"))


def test_nothing_is_told_again_by_a_second_look(project: Path) -> None:
    """Neither by the log nor by the results."""
    told = look(project, "    memory = look({}); told = len(memory); look(memory); look(memory)")
    assert len(told.events) == len({each[names.EVENT_ID] for each in told.events})


def unfinished(project: Path, pid: int) -> None:
    """The log stops as load begins, in a process of that id."""
    lines = [json.loads(line) for line in (project / "logs" / "dbt.log").read_text().splitlines()]
    begun = next(n for n, each in enumerate(lines) if each["data"].get("node_info", {}).get("node_name") == "load")
    for each in lines:
        each["info"]["pid"] = pid
    (project / "logs" / "dbt.log").write_text("".join(json.dumps(each) + "\n" for each in lines[: begun + 1]))
    (project / "target" / "run_results.json").unlink()


def test_a_process_that_is_gone_before_it_was_seen_leaves_a_run_that_ended(project: Path) -> None:
    """Nobody knows how; what it had begun is over too."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    unfinished(project, process.pid)
    run = once(project)
    assert (run.states, run.tasks["load"].last) == (["running", "ended"], {"ended"})


def test_a_run_whose_process_is_there_goes_on(project: Path) -> None:
    """However long it logs nothing."""
    unfinished(project, os.getpid())
    assert once(project).states == ["running"]


@pytest.mark.parametrize(("status", "state"), [("parked", "ended"), ("no-op", "skipped"), ("partial success", "failed")])
def test_what_dbt_says_of_a_node_is_kept_verbatim(project: Path, status: str, state: str) -> None:
    """Also a word that no version of it had."""
    log = project / "logs" / "dbt.log"
    log.write_text(log.read_text().replace('"status": "pass"', '"status": "%s"' % status))
    (span,) = (each for each in look(project, "    look({})").spans if each["name"] == "unique_orders_id")
    assert (span["attributes"][names.RAW_STATE], span["attributes"][names.TASK_STATE]) == (status, state)


def test_a_dbt_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """The message says which is there, and the extra that brings a newer one."""
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt_core-1.7.19.dist-info").mkdir()
    (tmp_path / "dbt_core-1.7.19.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: dbt-core\nVersion: 1.7.19\n")
    where = {"PYTHONPATH": os.pathsep.join((SOURCES, str(tmp_path)))}
    told = run_script("import rota_integrations.dbt as dbt; dbt.Observer()", tmp_path / "home", environment=where)
    assert b"needs dbt 1.8; 1.7.19 is installed: pip install 'rota[dbt]'" in told.stderr


def test_a_project_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By the name that was given."""
    command = [sys.executable, "-m", "rota", "observe", "dbt", "--once", "--project", str(tmp_path / "no")]
    ended = subprocess.run(command, env=clean_environment(ROTA_HOME=str(tmp_path)), capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert f"--project {tmp_path / 'no'}: there is no such folder" in ended.stderr


WATCHED = """
    import sys
    sys.argv = ["flow", "failure", sys.argv[1]]
    import rota
    rota.watch("nightly")
    import runpy
    runpy.run_path(FLOW, run_name="__main__")
""".replace("FLOW", repr(str(PROGRAMS / "dbt_flow.py")))


@pytest.mark.soak  # dbt starts
def test_a_callback_tells_what_the_log_tells(tmp_path: Path) -> None:
    """By the same ids; and of which run of ours it is a part, which the log cannot know."""
    json_log = {"PYTHONPATH": SOURCES, "DBT_LOG_FORMAT_FILE": "json"}
    by_callback = run_script(WATCHED, tmp_path / "home", python_of("dbt"), args=(str(tmp_path),), environment=json_log)
    assert by_callback.code == 0, by_callback.stderr
    of_dbt = [each for each in by_callback.events if each.get(names.SOURCE) == "dbt"]
    (ours,) = {each[names.RUN_ID] for each in by_callback.events if each.get(names.WORKFLOW) == "nightly"}
    assert {each[names.PARENT_RUN_ID] for each in of_dbt} == {ours}
    by_log = look(tmp_path / "failure", "    look({})", "log")
    assert {each[names.EVENT_ID] for each in of_dbt} == {each[names.EVENT_ID] for each in by_log.events if names.STATE in each}
    assert {span["spanId"] for span in by_log.spans} <= {span["spanId"] for span in by_callback.spans}


@pytest.mark.soak  # dbt starts twice
def test_dbt_does_not_notice_a_home_that_cannot_be(tmp_path: Path) -> None:
    """With a callback whose facts can go nowhere it prints what it prints without one, and leaves the same."""

    def build(folder: str, **environment: str) -> tuple[Any, ...]:
        command = [python_of("dbt"), str(PROGRAMS / "dbt_flow.py"), "failure", str(tmp_path / folder)]
        where = clean_environment(PYTHONPATH=SOURCES, ROTA_HOME="/dev/null/no", ROTA_ENDPOINT="http://127.0.0.1:1", **environment)
        done = subprocess.run(command, env=where, capture_output=True, text=True, check=False)
        results = json.loads((tmp_path / folder / "failure" / "target" / "run_results.json").read_text())["results"]
        said = [line for line in done.stdout.splitlines() if not line.replace(".", "").isdigit()]
        return done.returncode, len(said), done.stderr, [(each["unique_id"], each["status"]) for each in results]

    assert build("observed") == build("alone", OBSERVED="no")
