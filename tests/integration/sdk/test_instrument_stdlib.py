"""The standard library as it is used: what a span says is true, what is secret is in none, and results are what they were."""

from __future__ import annotations

import json
from typing import Callable, Iterator

import pytest
from aiosmtpd.controller import Controller
from http_answers import listening
from scripts import Outcome, run_script, spool_lines
from servers import free_ports

Run = Callable[..., Outcome]


@pytest.fixture
def run(run: Run) -> Run:
    """With every library watched, also where that is not the default."""
    return lambda source, **options: run(source, **{"environment": {"ROTA_INSTRUMENT": "on"}, **options})


def calls(outcome: Outcome, attribute: str) -> list[dict]:
    """The attributes of the spans that have that one."""
    return [span["attributes"] for span in outcome.spans if attribute in span["attributes"]]


def written(outcome: Outcome) -> str:
    """All that the spool holds, as text."""
    return "".join(map(json.dumps, spool_lines(outcome.home)))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where it listens: ``127.0.0.1:port``."""
    with listening() as address:
        yield address


def test_sqlite_rows_are_those_the_program_fetched(run: Run) -> None:
    """However rows are fetched, and whether all are, the span has their number; what is written is told as affected rows."""
    outcome = run("""
        import sqlite3
        import rota
        rota.watch()
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (a INT)")
        connection.executemany("INSERT INTO t VALUES (?)", ((i,) for i in range(100)))
        cursor = connection.cursor()
        def ask(name): return cursor.execute("SELECT a AS %s FROM t" % name)
        ask("all_"); assert len(cursor.fetchall()) == 100
        ask("many"); assert len(cursor.fetchmany(7)) == 7 and len(cursor.fetchmany(size=5)) == 5
        ask("one"); assert cursor.fetchone() == (0,) and next(cursor) == (1,)
        assert [row for row in ask("loop")] == [(i,) for i in range(100)]
        for row in ask("break_"):
            if row == (9,): break
        assert cursor.fetchone() == (10,), "an iteration never reads ahead"
        assert [sum(row) for row in connection.execute("SELECT a AS temp FROM t WHERE a < ?", (3,))] == [0, 1, 2]
        left_open = connection.execute("SELECT a AS left_open FROM t"); left_open.fetchone()
        connection.execute("DELETE FROM t WHERE a < ?", (50,))
    """)
    assert outcome.code == 0, outcome.stderr
    read = {a["db.query.text"].split()[3]: a["db.response.returned_rows"] for a in calls(outcome, "db.response.returned_rows")}
    assert read == {"all_": 100, "many": 12, "one": 2, "loop": 100, "break_": 11, "temp": 3, "left_open": 1}
    affected = {a["db.operation.name"]: a["rota.rows.affected"] for a in calls(outcome, "rota.rows.affected")}
    assert affected == {"INSERT": 100, "DELETE": 50}


def test_sqlite_is_what_it_was(run: Run) -> None:
    """Names, documentation, row factories, converters, errors and their tracebacks, the program's own classes."""
    outcome = run(
        """
        import sqlite3, sys, traceback
        import rota
        rota.watch()
        connection = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_COLNAMES)
        assert isinstance(connection, sqlite3.Connection) and isinstance(connection.cursor(), sqlite3.Cursor)
        assert repr(connection).startswith("<sqlite3.Connection object at ")
        assert type(connection.cursor()).__name__ == "Cursor" and type(connection).__doc__ == sqlite3.Connection.__doc__
        assert sqlite3.connect.__name__ == "connect" and sqlite3.connect.__doc__
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT 1 AS a, '2024-05-06' AS 'd [date]'").fetchone()
        assert type(row) is sqlite3.Row and row["a"] == 1 and row["d"].year == 2024
        class Mine(sqlite3.Connection): pass
        class MyCursor(sqlite3.Cursor): pass
        assert type(sqlite3.connect(":memory:", factory=Mine)) is Mine
        assert type(connection.cursor(MyCursor)) is MyCursor
        cursor = connection.cursor()
        assert cursor.execute("SELECT 1") is cursor
        with connection: connection.execute("CREATE TABLE t (a)")
        connection.executescript("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
        assert connection.total_changes == 2
        try: connection.execute("SELECT * FROM nowhere")
        except sqlite3.OperationalError as error:
            assert str(error) == "no such table: nowhere"
            frames = [f.filename for f in traceback.extract_tb(error.__traceback__)]
            assert len(frames) == (1 if sys.version_info >= (3, 11) else 2), frames
        for wrong in ((), (1,), ("SELECT ?", 5)):
            try: connection.execute(*wrong)
            except (TypeError, ValueError, sqlite3.ProgrammingError): pass
            else: raise AssertionError(wrong)
    """,
        flags=("-W", "ignore::DeprecationWarning"),
    )  # of the date converters, from 3.12 on
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == b""


def test_a_statements_values_are_in_no_span(run: Run) -> None:
    """A statement is told by verb and table; its text only when it holds no value, its parameters never."""
    outcome = run("""
        import sqlite3
        import rota
        rota.watch()
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE people (name, age)")
        connection.execute("INSERT INTO people VALUES ('geheim1', 424242)")
        connection.execute("-- geheim2\\nINSERT INTO people VALUES (?, ?)", ("geheim3", 424242))
        connection.execute("SELECT * FROM people WHERE name = 'x from geheim4' /* geheim5 */").fetchall()
        connection.execute("SELECT * FROM people WHERE age=424242").fetchall()
        connection.execute("SELECT name FROM people WHERE age > :a", {"a": 424242}).fetchall()
        try: connection.execute("geheim6 424242")
        except sqlite3.OperationalError: pass
    """)
    assert outcome.code == 0, outcome.stderr
    text = written(outcome)
    assert "geheim" not in text
    assert "424242" not in text
    told = [(a.get("db.query.summary"), a.get("db.query.text")) for a in calls(outcome, "db.system.name")]
    assert told == [
        ("CREATE people", "CREATE TABLE people (name, age)"), ("INSERT people", None), ("INSERT people", None),
        ("SELECT people", None), ("SELECT people", None), ("SELECT people", "SELECT name FROM people WHERE age > :a"),
        (None, None),
    ]  # fmt: skip


def test_urllib_tells_method_server_status_and_size(run: Run, server: str) -> None:
    """A request is one span, redirects and all; user, query and fragment are left out; a refusal has its status or its type."""
    outcome = run(f"""
        import urllib.error, urllib.request, sys
        import rota
        rota.watch()
        assert len(urllib.request.urlopen("http://{server}/x?token=geheim#geheim").read()) == 1234
        assert urllib.request.urlopen("http://{server}/moved", b"geheim").read() == b"x" * 1234
        request = urllib.request.Request("http://{server}/absent", headers={{"X": "geheim"}}, method="PUT")
        request.get_method = lambda: "GET"
        try: urllib.request.urlopen(request)
        except urllib.error.HTTPError as error: assert error.code == 404
        try: urllib.request.urlopen("http://127.0.0.1:1/")
        except urllib.error.URLError: pass
        urllib.request.urlopen("data:,hello")
    """)
    assert outcome.code == 0, outcome.stderr
    assert "geheim" not in written(outcome)
    told = calls(outcome, "http.request.method")
    assert [(a["http.request.method"], a["url.full"].rpartition("/")[2], a.get("http.response.status_code")) for a in told] == [
        ("GET", "x", 200), ("POST", "moved", 200), ("GET", "absent", 404), ("GET", "", None),
    ]  # fmt: skip
    assert [a.get("http.response.body.size") for a in told] == [1234, 1234, None, None]
    assert [a.get("error.type") for a in told] == [None, None, "404", "urllib.error.URLError"]
    assert (told[0]["server.address"], "%s:%d" % (told[0]["server.address"], told[0]["server.port"])) == ("127.0.0.1", server)


def test_subprocess_tells_the_executable_and_its_exit_status(run: Run) -> None:
    """Each child is one span: its name, pid and status; never its arguments or its environment."""
    outcome = run("""
        import inspect, os, subprocess, sys
        import rota
        rota.watch()
        assert str(inspect.signature(subprocess.Popen)).startswith("(args, bufsize=-1")
        done = subprocess.run([sys.executable, "-c", "print('geheim')"], stdout=subprocess.PIPE, env={"A": "geheim"})
        assert done.stdout == b"geheim\\n"
        subprocess.call("exit 3 # geheim", shell=True)
        child = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
        assert child.poll() is None
        child.communicate(b"geheim\\n")
        try: subprocess.check_output(["/nonexistent/geheim-not/program", "geheim"])
        except FileNotFoundError as error: assert error.filename == "/nonexistent/geheim-not/program"
        left = subprocess.Popen(["sleep", "0.01"])
    """)
    assert outcome.code == 0, outcome.stderr
    assert "geheim" not in written(outcome)
    told = calls(outcome, "process.executable.name")
    assert [a["process.executable.name"].rstrip("0123456789.") for a in told] == ["python", "sh", "python", "program", "sleep"]
    assert [a.get("process.exit.code") for a in told] == [0, 3, 0, None, None]
    assert told[3]["error.type"] == "FileNotFoundError"


def test_smtplib_tells_how_many_and_how_large(run: Run) -> None:
    """A message is one span with the bytes that the server received; no address, no subject, no text."""
    received = []

    class Sink:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 (the name is aiosmtpd's)
            received.append(envelope.content)
            return "250 OK"

    (port,) = free_ports(1)
    sink = Controller(Sink(), hostname="127.0.0.1", port=port)
    sink.start()
    try:
        outcome = run(f"""
            import smtplib
            from email.message import EmailMessage
            import rota
            rota.watch()
            message = EmailMessage()
            message["Subject"], message["From"] = "geheim", "geheim@a.example"
            message["To"] = "x-geheim@b.example, y-geheim@b.example"
            message.set_content("geheim\\n" * 20)
            with smtplib.SMTP("127.0.0.1", {port}) as smtp:
                smtp.send_message(message)
                smtp.sendmail("geheim@a.example", "z-geheim@b.example", "Subject: geheim\\n\\ngeheim\\n")
        """)
    finally:
        sink.stop()
    assert outcome.code == 0, outcome.stderr
    assert "geheim" not in written(outcome)
    told = calls(outcome, "rota.mail.bytes")
    assert [a["rota.mail.bytes"] for a in told] == [len(content) for content in received]
    assert [a["rota.mail.recipients"] for a in told] == [2, 1]
    assert [a["server.address"] for a in told] == ["127.0.0.1"] * 2


def test_logging_at_warning_and_above_is_kept_with_the_run(run: Run) -> None:
    """Message, severity, logger, place and exception type, under the task that logged; the program's own log is what it was."""
    outcome = run("""
        import logging, sys
        import rota
        rota.watch()
        logging.basicConfig(format="%(levelname)s %(name)s %(lineno)d %(message)s", stream=sys.stdout)
        log = logging.getLogger("shop.orders"); log.setLevel("DEBUG")
        log.info("not kept"); logging.getLogger("off").disabled = True; logging.getLogger("off").error("not logged")
        class Shown:
            times = 0
            def __str__(self): Shown.times += 1; return "shown"
        with rota.task("load"):
            log.warning("%s of %d", Shown(), 7)
        try: 1 / 0
        except ZeroDivisionError: log.exception("broken")
        log.critical("x" * 10000)
        class Logging:
            def __str__(self): log.error("from inside"); return "outside"
        log.error(Logging())
        assert Shown.times == 1, "nobody's __str__ is called a second time"
    """)
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.decode().splitlines()
    assert lines[:2] == ["INFO shop.orders 7 not kept", "WARNING shop.orders 12 shown of 7"]
    kept = [e for e in outcome.events if "body" in e]
    assert [e["body"] for e in kept][:2] == ["shown of 7", "broken"]
    assert len(kept[2]["body"]) == 8192
    assert [e["body"] for e in kept[3:]] == ["outside", "from inside"]
    assert [(e["severityNumber"], e["severityText"]) for e in kept][:3] == [(13, "WARNING"), (17, "ERROR"), (21, "CRITICAL")]
    assert (kept[0]["rota.logger"], kept[0]["code.line.number"], kept[1]["exception.type"]) == (
        "shop.orders",
        12,
        "ZeroDivisionError",
    )
    (load,) = [span for span in outcome.spans if span["name"] == "load"]
    assert kept[0]["spanId"] == load["spanId"]
    assert kept[0]["cicd.pipeline.run.id"] == outcome.last["cicd.pipeline.run.id"]


def test_a_record_of_no_level_is_passed_on(run: Run) -> None:
    """A record that somebody made by hand, without a level, is an error of logging's or none, as it would be without us."""
    outcome = run("""
        import logging
        import rota
        rota.watch()
        logger = logging.Logger("mine")
        logging.raiseExceptions, logging.lastResort = False, None
        logger.handle(logging.makeLogRecord({"msg": "x"}))
    """)
    assert (outcome.code, outcome.stderr) == (0, b"")


def test_a_thousand_records_are_kept_and_the_rest_is_counted(home) -> None:
    """A program that logs without end fills no disk; the run says how many records are missing."""
    outcome = run_script(
        """
        import logging
        import rota
        rota.watch()
        logging.getLogger().addHandler(logging.NullHandler())
        for i in range(1500): logging.warning("%d", i)
        """,
        home,
    )
    assert len([e for e in outcome.events if "body" in e]) == 1000
    assert outcome.last["rota.logs.left_out"] == 500


def test_warnings_are_shown_as_ever_and_kept_once(run: Run) -> None:
    """Each warning that Python shows is kept once; one that the program catches or ignores is not; stderr is what it was."""
    source = """
        import sys, warnings
        {watch}
        import logging
        warnings.simplefilter("always")
        for i in range(3): warnings.warn("often", DeprecationWarning)
        warnings.warn("user")
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn("caught")
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.warn("ignored")
        logging.captureWarnings(True)
        warnings.warn("to logging")
    """
    plain = run(source.format(watch="pass"))
    outcome = run(source.format(watch="import rota; rota.watch()"))
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == plain.stderr.replace(b"pass", b"import rota; rota.watch()")
    kept = [(e["rota.warning.category"], e["body"]) for e in outcome.events if "rota.warning.category" in e]
    assert kept == [("DeprecationWarning", "often"), ("UserWarning", "user")]


@pytest.mark.parametrize(
    "configure",
    ["pass", "logging.basicConfig()", "logging.basicConfig(level='INFO', format='%(levelname)s:%(module)s:%(message)s')"],
)
def test_logging_prints_what_it_prints_without_us(run: Run, configure: str) -> None:
    """Configured after the run began, or not at all (Python's last resort), the output is the same, byte for byte."""
    source = """
        import logging
        {watch}
        assert not logging.getLogger().handlers and not logging.getLogger().hasHandlers()
        {configure}
        logging.getLogger("shop").info("told if asked")
        logging.getLogger("shop").warning("of %d", 7)
        logging.error("root")
    """
    plain = run(source.format(watch="pass", configure=configure))
    outcome = run(source.format(watch="import rota; rota.watch()", configure=configure))
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, plain.stdout, plain.stderr)
    assert b"of 7" in outcome.stderr
    assert [e["body"] for e in outcome.events if "body" in e] == ["of 7", "root"]


@pytest.mark.parametrize(
    ("setting", "kept"),
    [("debug", "diwe"), ("INFO", "iwe"), ("", "we"), ("nonsense", "we"), ("error", "e"), ("critical", ""), ("off", "")],
)
def test_what_is_kept_of_a_log_is_a_setting(home, setting: str, kept: str) -> None:
    """`ROTA_LOGS` names the lowest level that is kept, warnings included; a word that means nothing changes nothing."""
    source = """
        import logging, warnings
        import rota
        rota.watch()
        logging.basicConfig(level="DEBUG")
        for level in ("debug", "info", "error"): getattr(logging, level)(level[0])
        warnings.warn("w")
    """
    outcome = run_script(source, home, environment={"ROTA_LOGS": setting})
    assert (outcome.code, outcome.errors) == (0, "")
    assert "".join(letter for letter in "diwe" if letter in [e.get("body") for e in outcome.events]) == kept
    severities = {"d": 5, "i": 9, "w": 13, "e": 17}
    assert all(e["severityNumber"] == severities[e["body"]] for e in outcome.events if "body" in e)
