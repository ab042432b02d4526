"""How calls into libraries come to be seen, and that importing a library stays what it was."""

from __future__ import annotations

import textwrap
import zipfile
from pathlib import Path
from typing import Callable

import pytest
from scripts import Outcome, run_script, version_of

Run = Callable[..., Outcome]


@pytest.fixture
def run(run: Run) -> Run:
    """With every library watched, also where that is not the default."""
    return lambda source, **options: run(source, **{"environment": {"ROTA_INSTRUMENT": "on"}, **options})


def calls(outcome: Outcome, attribute: str = "db.operation.name") -> list[dict]:
    """The attributes of the spans that have that one."""
    return [span["attributes"] for span in outcome.spans if attribute in span["attributes"]]


def test_a_library_is_seen_wherever_it_is_imported(run: Run) -> None:
    """Before the run begins, after, or first in a thread: its calls are spans under what is current."""
    outcome = run("""
        import threading
        import rota
        import sqlite3
        rota.watch()
        with rota.task("early"):
            sqlite3.connect(":memory:").execute("SELECT 1")
        def work():
            import subprocess, sys
            subprocess.run([sys.executable, "-c", ""])
        thread = threading.Thread(target=work); thread.start(); thread.join()
    """)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"", b"")
    ids = {span["name"]: span["spanId"] for span in outcome.spans}
    parents = {span["name"]: span["parentSpanId"] for span in outcome.spans}
    assert parents["SELECT"] == ids["early"]
    (child,) = [span for span in outcome.spans if "process.executable.name" in span["attributes"]]
    assert child["parentSpanId"] == ids["job"]
    assert child["kind"] == 3


def test_nothing_is_touched_before_a_run_begins(run: Run) -> None:
    """`import rota` alone leaves the import system and the libraries alone; `rota.run` begins to watch as `rota.watch` does."""
    outcome = run("""
        import sys, sqlite3
        finders, connect = list(sys.meta_path), sqlite3.connect
        import rota
        assert sys.meta_path == finders and sqlite3.connect is connect
        with rota.run("inner"):
            sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
        assert len(sys.meta_path) == len(finders) + 1
        sqlite3.connect(":memory:").execute("SELECT 2").fetchall()
    """)
    assert outcome.code == 0, outcome.stderr
    assert len(calls(outcome)) == 1, "only the one inside the run"


@pytest.mark.parametrize(
    ("setting", "seen"),
    [("off", ""), ("0", ""), ("sqlite3", "s"), ("-sqlite3", "p"), ("subprocess, sqlite3", "sp"), ("on", "sp"), ("", "sp")],
)
def test_what_is_watched_is_a_setting(home, setting: str, seen: str) -> None:
    """`ROTA_INSTRUMENT` turns all off, or names the libraries, or those left out."""
    source = """
        import sys
        import rota
        rota.watch()
        import sqlite3, subprocess
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
        subprocess.run([sys.executable, "-c", ""])
    """
    outcome = run_script(source, home, environment={"ROTA_INSTRUMENT": setting})
    assert outcome.code == 0
    assert len(calls(outcome)) == seen.count("s")
    assert len(calls(outcome, "process.executable.name")) == seen.count("p")


def test_an_imported_module_is_what_it_was(run: Run) -> None:
    """Spec, loader, file, resources and reload are those of a module that nobody watches."""
    outcome = run("""
        import importlib, importlib.machinery, importlib.util, sys
        import rota
        rota.watch()
        assert importlib.util.find_spec("smtplib").origin.endswith("smtplib.py") and "smtplib" not in sys.modules
        import smtplib, sqlite3
        for module in (smtplib, sqlite3):
            spec = module.__spec__
            assert type(spec) is importlib.machinery.ModuleSpec and spec.loader is module.__loader__
            assert type(spec.loader) is importlib.machinery.SourceFileLoader
            assert "exec_module" not in vars(spec.loader)
            assert spec.origin == module.__file__ == spec.loader.get_filename(module.__name__)
        assert importlib.reload(sqlite3) is sqlite3
        assert type(importlib.import_module("sqlite3.dbapi2")) is type(sqlite3)
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
        try:
            import urllib.requestx
        except ModuleNotFoundError as error:
            assert error.name == "urllib.requestx"
    """)
    assert outcome.code == 0, outcome.stderr
    assert len(calls(outcome)) == 1


def test_a_lazy_loader_stays_lazy(run: Run) -> None:
    """A module that importlib loads on first use is loaded on first use, and seen from then on."""
    outcome = run("""
        import importlib.util, sys
        import rota
        rota.watch()
        spec = importlib.util.find_spec("sqlite3")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sqlite3 = sys.modules["sqlite3"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sqlite3)
        assert "_sqlite3" not in sys.modules
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
    """)
    assert outcome.code == 0, outcome.stderr
    assert len(calls(outcome)) == 1


def test_a_library_out_of_a_zip_file(run: Run, tmp_path) -> None:
    """One loader serves all modules of a zip file; each is executed once, and an error in ours never reaches the import."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("smtplib.py", "import beside\nWHO = 'mine'\n")
        archive.writestr("beside.py", "print('beside')\n")
    outcome = run_script(
        f"""
        import sys
        import rota
        rota.watch()
        sys.path.insert(0, {str(tmp_path / "all.zip")!r})
        import smtplib
        print(smtplib.WHO)
        """,
        tmp_path / "home",
    )
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"beside\nmine\n", b"")
    assert "instrument smtplib" in outcome.errors


def test_another_import_hook_works_on(run: Run) -> None:
    """A finder that asks all finders in its turn, before us or behind us, is not led in a circle."""
    outcome = run("""
        import importlib.util, sys
        class Asking:
            busy = False
            def find_spec(self, name, path=None, target=None):
                if self.busy: return None
                self.busy = True
                try: return importlib.util.find_spec(name)
                finally: self.busy = False
        import rota
        sys.meta_path.insert(0, Asking())
        rota.watch()
        sys.meta_path.insert(0, Asking())
        import sqlite3
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
    """)
    assert outcome.code == 0, outcome.stderr
    assert len(calls(outcome)) == 1


def test_a_million_calls_are_counted_and_not_kept(run: Run) -> None:
    """After a hundred of a kind in a task, calls share spans: numbers, rows and failures add up to the truth."""
    outcome = run("""
        import sqlite3
        import rota
        rota.watch()
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (a INT UNIQUE)")
        with rota.task("load"):
            for i in range(5000):
                connection.execute("INSERT INTO t VALUES (%d)" % i)
            for i in range(3000):
                connection.execute("SELECT a FROM t WHERE a < ?", (i % 3,)).fetchall()
            for i in range(250):
                try: connection.execute("INSERT INTO t VALUES (%d)" % i)
                except sqlite3.IntegrityError: pass
    """)
    assert outcome.code == 0, outcome.stderr
    inserted = [a for a in calls(outcome) if a["db.operation.name"] == "INSERT"]
    selected = [a for a in calls(outcome) if a["db.operation.name"] == "SELECT"]
    assert sum(a.get("rota.calls.count", 1) for a in inserted) == 5250
    assert sum(a.get("rota.rows.affected", 0) for a in inserted) == 5000
    assert sum(a.get("rota.calls.failed", 1 if "error.type" in a else 0) for a in inserted) == 250
    assert sum(a.get("rota.calls.count", 1) for a in selected) == 3000
    assert sum(a["db.response.returned_rows"] for a in selected) == 3000
    assert len(outcome.spans) < 500


def test_calls_of_a_forked_worker_are_counted(run: Run) -> None:
    """A multiprocessing worker ends without atexit: its calls are told all the same, and the parent's only once."""
    outcome = run("""
        import multiprocessing, sqlite3
        import rota
        rota.watch()
        connection = sqlite3.connect(":memory:")
        def many(n):
            for i in range(n): connection.execute("SELECT 1 WHERE ?", (i,)).fetchone()
        if __name__ == "__main__":
            many(150)
            open_one = connection.execute("VALUES (1), (2)")
            next(open_one)
            worker = multiprocessing.get_context("fork").Process(target=many, args=(270,))
            worker.start(); worker.join()
    """)
    assert outcome.code == 0, outcome.stderr
    selected = [a for a in calls(outcome) if a["db.operation.name"] == "SELECT"]
    assert sum(a.get("rota.calls.count", 1) for a in selected) == 420
    assert [span["attributes"].get("db.response.returned_rows") for span in outcome.spans if span["name"] == "sqlite"] == [1]


def test_threads_lose_no_count(run: Run) -> None:
    """Calls of many threads under one run add up."""
    outcome = run("""
        import sqlite3, threading
        import rota
        rota.watch()
        def work():
            connection = sqlite3.connect(":memory:")
            for i in range(1000): connection.execute("SELECT ?", (i,)).fetchall()
        threads = [threading.Thread(target=work) for _ in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
    """)
    assert outcome.code == 0, outcome.stderr
    assert sum(a.get("rota.calls.count", 1) for a in calls(outcome)) == 8000
    assert sum(a["db.response.returned_rows"] for a in calls(outcome)) == 8000


def test_no_instrumentation_of_ours_beside_theirs(home) -> None:
    """While opentelemetry's instrumentation of a library is active, or says that a call is not to be shown, ours stands back."""
    outcome = run_script(
        """
        import sys, types
        import rota
        rota.watch()
        import sqlite3
        from opentelemetry import context
        def call(): sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
        token = context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True))
        call()
        context.detach(token)
        class SQLite3Instrumentor:  # built as theirs is: a singleton that knows whether it is active
            _instance = None
            _is_instrumented_by_opentelemetry = False
        theirs = sys.modules["opentelemetry.instrumentation.sqlite3"] = types.ModuleType("theirs")
        theirs.SQLite3Instrumentor = SQLite3Instrumentor
        call()
        SQLite3Instrumentor._instance = SQLite3Instrumentor()
        SQLite3Instrumentor._instance._is_instrumented_by_opentelemetry = True
        call()
        """,
        home,
    )
    assert (outcome.code, outcome.stderr, outcome.errors) == (0, b"", "")
    assert len(calls(outcome)) == 1


FIRST_CALLS = {
    "logging": "logging.getLogger('x').warning('said', stack_info=True)",
    "smtplib": "smtplib.SMTP.sendmail(None, 'a', 'b', 'c')",
    "sqlite3": "sqlite3.connect(':memory:')",
    "subprocess": "subprocess.Popen(['no such program'])",
    "urllib.request": "urllib.request.build_opener().open('nothing:')",
    "warnings": "warnings.warn('beware')",
}


@pytest.mark.parametrize("library", FIRST_CALLS)
@pytest.mark.parametrize("order", ["import {0}\nrota.watch()", "rota.watch()\nimport {0}"], ids=["before", "after"])
def test_a_library_that_is_not_used_costs_nothing(home: Path, library: str, order: str) -> None:
    """Our file for it is loaded at its first call, and looks from then on as the library's own."""
    outcome = run_script(
        f"""
import sys, rota
{order.format(library)}
file = "rota.instrument.{library.partition(".")[0]}"
assert file not in sys.modules
try:
    {FIRST_CALLS[library]}
except Exception:
    pass
assert file in sys.modules
""",
        home,
    )
    assert (outcome.code, outcome.errors) == (0, ""), outcome.stderr


PRINTING = {
    **FIRST_CALLS,
    # The first warns from 3.12 on, the second warns and times out.
    "datetime, sqlite3": "sqlite3.connect(':memory:').execute('SELECT ?', (datetime.datetime(2020, 1, 1),))",
    "subprocess, sys": "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(0.5)'], stdin=-1, bufsize=1).wait(0.01)",
}


@pytest.mark.parametrize("library", PRINTING)
def test_what_is_printed_is_the_same(tmp_path: Path, python: str, library: str) -> None:
    """Each call, the first and the second, warns, raises and traces back as without rota, under every CPython's own default."""
    source = f"""
        {{watched}}
        import traceback, {library}
        for _ in range(2):
            try:
                {PRINTING[library]}
            except Exception:
                traceback.print_exc()
        {PRINTING[library]}
    """
    script = tmp_path / "job.py"  # one path for both: it is in what they print
    printed = []
    for watched in ("pass", "__import__('rota').watch()"):
        script.write_text(textwrap.dedent(source.format(watched=watched)))
        outcome = run_script("", tmp_path / "home", python, path=script)
        printed.append((outcome.code, outcome.stdout, outcome.stderr))
        assert outcome.errors == ""
    assert printed[0] == printed[1]


def test_a_stub_is_what_stood_there(run: Run) -> None:
    """Name, documentation and signature; a wrapper that another tool puts around it works, before the first call and after."""
    outcome = run("""
        import inspect, pickle, sqlite3
        before = (sqlite3.connect.__name__, sqlite3.connect.__doc__)
        import rota
        rota.watch()
        assert (sqlite3.connect.__name__, sqlite3.connect.__doc__) == before
        assert pickle.loads(pickle.dumps(sqlite3.connect)) is sqlite3.connect
        import subprocess, sys
        own = subprocess.Popen.__init__
        assert "bufsize" in str(inspect.signature(own)) and own.__qualname__ == "Popen.__init__"
        def theirs(self, *args, **kwargs):
            print("theirs", flush=True)
            own(self, *args, **kwargs)
        subprocess.Popen.__init__ = theirs
        for _ in range(2):
            subprocess.run([sys.executable, "-c", ""])
        early = sqlite3.connect
        early(":memory:").execute("SELECT 1").fetchall()
        early(":memory:").execute("SELECT 2").fetchall()
        assert pickle.loads(pickle.dumps(sqlite3.connect)) is sqlite3.connect
    """)
    assert (outcome.code, outcome.stdout) == (0, b"theirs\ntheirs\n"), outcome.stderr
    assert len(calls(outcome)) == 2


def test_before_python_311_only_what_raises_nothing_is_watched(home: Path, python: str) -> None:
    """A wrapper there would stand in the tracebacks of a script that nobody changed; `ROTA_INSTRUMENT=on` accepts that."""
    source = """
        import logging, sqlite3
        import rota
        rota.watch()
        logging.warning("said")
        sqlite3.connect(":memory:").execute("SELECT 1").fetchall()
    """
    outcome = run_script(source, home, python)
    assert len(calls(outcome)) == (version_of(python) >= (3, 11))
    assert [event["body"] for event in outcome.events if "body" in event] == ["said"]
