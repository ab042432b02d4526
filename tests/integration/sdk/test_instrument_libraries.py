"""Libraries that people install: one real operation each, told as it was, and once."""

from __future__ import annotations

from typing import Any

import pytest
import s3_store
from http_answers import listening
from library_calls import calls, run, written
from scripts import Outcome


@pytest.fixture(scope="module")
def server():
    """Where an HTTP server listens: ``127.0.0.1:port``."""
    with listening() as address:
        yield address


def http_calls(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Method, last part of the URL, status and size of each request."""
    assert "geheim" not in written(outcome)
    asked = ("http.request.method", "url.full", "http.response.status_code", "http.response.body.size", "error.type")
    found = [[a.get(name) for name in asked] for a in calls(outcome)]
    return [(method, url.rpartition("/")[2], *rest) for method, url, *rest in found]


def test_requests(home, server) -> None:
    """A request is one span, over urllib3 and through redirects; streams stay streams; an answer that refuses is an answer."""
    outcome = run(
        f"""
    import inspect, requests
    assert list(inspect.signature(requests.Session.send).parameters) == ["self", "request", "kwargs"]
    assert len(requests.get("http://u:geheim@{server}/x?a=geheim", headers={{"A": "geheim"}}).content) == 1234
    requests.post("http://{server}/moved", data="geheim")
    assert requests.get("http://{server}/absent").status_code == 404
    with requests.get("http://{server}/chunked", stream=True) as answer:
        assert not answer._content_consumed and sum(map(len, answer.iter_content(100))) == 777
    assert len(requests.get("http://{server}/chunked").content) == 777
    try: requests.get("http://127.0.0.1:1/")
    except requests.ConnectionError: pass
        """,
        home,
    )
    assert http_calls(outcome) == [
        ("GET", "x", 200, 1234, None), ("POST", "moved", 200, 1234, None), ("GET", "absent", 404, 0, "404"),
        ("GET", "chunked", 200, None, None), ("GET", "chunked", 200, 777, None),
        ("GET", "", None, None, "requests.exceptions.ConnectionError"),
    ]  # fmt: skip


def test_httpx(home, server) -> None:
    """As requests; and the asynchronous client's requests are spans of the task that awaits them."""
    outcome = run(
        f"""
    import asyncio, httpx
    assert len(httpx.get("http://{server}/x?a=geheim").content) == 1234
    with httpx.stream("GET", "http://{server}/chunked") as answer:
        assert not answer.is_closed and len(answer.read()) == 777
    async def ask(client, path):
        with rota.task(path):
            return await client.post("http://{server}/" + path, content="geheim")
    async def all_():
        async with httpx.AsyncClient() as client:
            await asyncio.gather(ask(client, "x"), ask(client, "absent"), ask(client, "chunked"))
    asyncio.run(all_())
    try: httpx.get("http://127.0.0.1:1/")
    except httpx.ConnectError: pass
        """,
        home,
    )
    tasks = {span["spanId"]: span["name"] for span in outcome.spans if span["kind"] == 1}
    posts = [span for span in outcome.spans if span["name"] == "POST"]
    assert {tasks[span["parentSpanId"]] for span in posts} == {
        span["attributes"]["url.full"].rpartition("/")[2] for span in posts
    }
    outcome.spans = [span for span in outcome.spans if span["kind"] != 1]
    told = http_calls(outcome)
    assert sorted(told[2:5]) == [
        ("POST", "absent", 404, 0, "404"), ("POST", "chunked", 200, 777, None), ("POST", "x", 200, 1234, None),
    ]  # fmt: skip
    assert told[:2] + told[5:] == [
        ("GET", "x", 200, 1234, None), ("GET", "chunked", 200, None, None), ("GET", "", None, None, "httpx.ConnectError"),
    ]  # fmt: skip


def test_sqlalchemy(home) -> None:
    """A statement is one span, over sqlite3, with the rows that were taken from the driver; errors and values as ever."""
    outcome = run(
        """
    import sqlalchemy as sa
    engine = sa.create_engine("sqlite://")
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer))
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE t (a INT)"))
        c.execute(table.insert(), [{"a": i} for i in range(100)])
        assert len(c.execute(sa.select(table).where(table.c.a < 42)).all()) == 42
        assert c.execute(sa.text("SELECT a AS first FROM t ORDER BY a")).first() == (0,)
        result = c.execute(sa.text("SELECT a AS loop FROM t"))
        assert [r.loop for r in result] == list(range(100))
        assert c.execution_options(yield_per=7).execute(sa.text("SELECT a AS stream FROM t")).fetchmany(10)[-1] == (9,)
        assert c.execute(sa.text("DELETE FROM t WHERE a >= :n"), {"n": 60}).rowcount == 40
        assert c.scalar(sa.text("SELECT a FROM t WHERE a = 'geheim' OR a = 7")) == 7
        try: c.execute(sa.text("SELECT a FROM nowhere"))
        except sa.exc.OperationalError as error: assert "no such table" in str(error)
        """,
        home,
    )
    assert "geheim" not in written(outcome)
    told = [
        (a["db.query.summary"], a.get("db.response.returned_rows"), a.get("rota.rows.affected"), a.get("error.type"))
        for a in calls(outcome)
    ]
    assert told == [
        ("CREATE t", None, None, None), ("INSERT t", None, 100, None), ("SELECT t", 42, None, None), ("SELECT t", 1, None, None),
        ("SELECT t", 100, None, None), ("DELETE t", None, 40, None), ("SELECT t", 1, None, None),
        ("SELECT nowhere", None, None, "sqlite3.OperationalError"), ("SELECT t", 10, None, None),
    ]  # fmt: skip
    assert {a["db.system.name"] for a in calls(outcome)} == {"sqlite"}


def test_duckdb(home) -> None:
    """A statement is one span with the rows fetched, however they are; a relation is one each time it is read."""
    outcome = run(
        """
    import duckdb
    c = duckdb.connect()
    assert type(c) is duckdb.DuckDBPyConnection
    c.execute("CREATE TABLE t AS SELECT range AS a FROM range(100)")
    assert len(c.execute("SELECT a FROM t WHERE a < ?", [42]).fetchall()) == 42
    answer = c.execute("SELECT a FROM t"); assert answer is c
    assert len(c.fetchmany(7)) == 7 and c.fetchone() == (7,)
    assert len(c.execute("SELECT a, a FROM t").df()) == 100
    assert c.execute("SELECT a AS b FROM t").fetch_arrow_table().num_rows == 100
    c.execute("INSERT INTO t VALUES (1)"); assert c.fetchall() == [(1,)]
    c.sql("DELETE FROM t WHERE a > 50")
    assert len(c.sql("SELECT * FROM t").fetchall()) == 52
    try: c.execute("SELECT geheim FROM t WHERE a = 'geheim'")
    except duckdb.BinderException: pass
        """,
        home,
    )
    assert "geheim" not in written(outcome)
    told = [(a.get("db.query.summary"), a.get("db.response.returned_rows"), a.get("error.type")) for a in calls(outcome)]
    assert told == [
        ("CREATE t", None, None), ("SELECT t", 42, None), ("SELECT t", 8, None), ("SELECT t", 100, None), ("SELECT t", 100, None),
        ("INSERT t", None, None), ("DELETE t", None, None), (None, 52, None), ("SELECT t", None, "_duckdb.BinderException"),
    ]  # fmt: skip


def test_pandas(home, tmp_path) -> None:
    """A data set that is read or written is one span with its rows and bytes, over a database too; a conversion is none."""
    outcome = run(
        f"""
    import io, pathlib, sqlite3
    import pandas
    import sqlalchemy
    folder = pathlib.Path({str(tmp_path)!r})
    frame = pandas.DataFrame({{"a": range(100), "b": "geheim"}})
    frame.to_csv(folder / "x.csv", index=False)
    assert frame.to_csv().startswith(",a,b") and frame.to_json()
    frame.to_parquet(folder / "x.parquet")
    frame.to_json(folder / "x.jsonl", orient="records", lines=True)
    assert pandas.read_csv(folder / "x.csv").equals(frame)
    assert [len(piece) for piece in pandas.read_csv(str(folder / "x.csv"), chunksize=40)] == [40, 40, 20]
    assert len(pandas.read_parquet(folder / "x.parquet")) == len(pandas.read_json(folder / "x.jsonl", lines=True)) == 100
    assert len(pandas.read_csv(io.StringIO("a\\n1\\n2\\n"))) == 2
    connection = sqlite3.connect(":memory:")
    frame.to_sql("t", connection)
    assert len(pandas.read_sql("SELECT * FROM t WHERE a < 30", connection)) == 30
    try: pandas.read_csv(folder / "absent.csv")
    except FileNotFoundError: pass
        """,
        home,
    )
    assert "geheim" not in written(outcome)
    size = {name: (tmp_path / name).stat().st_size for name in ("x.csv", "x.parquet", "x.jsonl")}
    names = [span["name"] for span in outcome.spans if span["kind"] == 1]
    assert names == [
        "pandas to_csv", "pandas to_parquet", "pandas to_json", "pandas read_csv", "pandas read_csv", "pandas read_csv",
        "pandas read_csv", "pandas read_parquet", "pandas read_json", "pandas read_csv", "pandas to_sql", "pandas read_sql",
    ]  # fmt: skip
    told = [a for a in calls(outcome) if "rota.dataset.access" in a]
    assert [a["rota.dataset.rows"] for a in told] == [100, 100, 100, 100, 40, 40, 20, 100, 100, 2, 100, 30]
    assert [a.get("rota.dataset.bytes") for a in told] == [
        size["x.csv"], size["x.parquet"], size["x.jsonl"], size["x.csv"], None, None, None, size["x.parquet"], size["x.jsonl"],
        None, None, None,
    ]  # fmt: skip
    assert told[0]["rota.dataset.name"] == str(tmp_path / "x.csv")
    assert told[10]["rota.dataset.name"] == "t"


def test_pandas_over_sqlalchemy_is_told_once(home) -> None:
    """What pandas asks of a database for a data set is part of the data set's span."""
    outcome = run(
        """
    import pandas, sqlalchemy
    engine = sqlalchemy.create_engine("sqlite://")
    pandas.DataFrame({"a": range(10)}).to_sql("t", engine)
    assert len(pandas.read_sql(sqlalchemy.text("SELECT a FROM t"), engine)) == 10
        """,
        home,
    )
    assert [a["rota.dataset.rows"] for a in calls(outcome) if "rota.dataset.rows" in a] == [10, 10]
    assert not [a for a in calls(outcome) if a.get("db.operation.name") in ("SELECT", "INSERT", "CREATE")]


def test_a_warning_of_pandas_names_the_scripts_line(home) -> None:
    """pandas warns the first frame that is in no file of its own: that is the script's, with us as without us."""
    outcome = run(
        """
    import io, warnings
    import pandas
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pandas.read_csv(io.StringIO("a,b\\n1,2\\n1,2,3\\n"), on_bad_lines="warn")
    assert [(w.filename, w.category) for w in caught] == [(__file__, pandas.errors.ParserWarning)], caught
        """,
        home,
    )
    assert [a["rota.dataset.rows"] for a in calls(outcome)] == [1]


def test_polars(home, tmp_path) -> None:
    """A data set that is read or written is one span with its rows and bytes; a lazy frame is one when it is collected."""
    outcome = run(
        f"""
    import pathlib, pickle, sqlite3
    import polars as pl
    folder = pathlib.Path({str(tmp_path)!r})
    frame = pl.DataFrame({{"a": range(100), "b": ["geheim"] * 100}})
    frame.write_csv(folder / "x.csv")
    frame.write_parquet(str(folder / "x.parquet"))
    assert frame.write_csv().startswith("a,b")
    assert pl.read_csv(folder / "x.csv").equals(frame) and pl.read_parquet(source=folder / "x.parquet").equals(frame)
    assert pl.scan_parquet(folder / "x.parquet").filter(pl.col("a") < 42).collect().height == 42
    pl.scan_csv(folder / "x.csv").sink_parquet(folder / "y.parquet")
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2), (3)")
    assert pl.read_database("SELECT * FROM t", connection).height == 3
    assert pickle.loads(pickle.dumps(pl.read_csv)) is pl.read_csv
    try: pl.read_csv(folder / "absent.csv")
    except FileNotFoundError: pass
        """,
        home,
    )
    assert "geheim" not in written(outcome)
    size = {name: (tmp_path / name).stat().st_size for name in ("x.csv", "x.parquet", "y.parquet")}
    told = [
        (span["name"], a.get("rota.dataset.rows"), a.get("rota.dataset.bytes"), a.get("error.type"))
        for span in outcome.spans
        if "rota.dataset.access" in (a := span["attributes"])
    ]
    assert told == [
        ("polars write_csv", 100, size["x.csv"], None), ("polars write_parquet", 100, size["x.parquet"], None),
        ("polars read_csv", 100, size["x.csv"], None), ("polars read_parquet", 100, size["x.parquet"], None),
        ("polars collect", 42, None, None), ("polars sink_parquet", None, size["y.parquet"], None),
        ("polars read_database", 3, None, None), ("polars read_csv", None, None, "FileNotFoundError"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store():
    """Where something listens that answers as S3 does."""
    with s3_store.running() as address:
        yield address


def test_boto3(home, tmp_path, store) -> None:
    """An operation is one span with the bytes of its body, whichever way they come; a refusal is one with its status."""
    (tmp_path / "x.bin").write_bytes(b"x" * 5000)
    outcome = run(
        f"""
    import boto3
    {s3_store.client(store)}
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="geheim", Body="123é")
    with open({str(tmp_path / "x.bin")!r}, "rb") as file:
        file.seek(1000); s3.put_object(Bucket="shop", Key="file", Body=file)
    assert s3.get_object(Bucket="shop", Key="geheim")["Body"].read().decode() == "123é"
    s3.upload_file({str(tmp_path / "x.bin")!r}, "shop", "up")
    try: s3.get_object(Bucket="shop", Key="absent")
    except s3.exceptions.NoSuchKey: pass
        """,
        home,
    )
    assert "geheim" not in written(outcome)
    asked = ("rpc.method", "aws.s3.bucket", "http.response.status_code", "http.request.body.size", "http.response.body.size")
    told = [tuple(a.get(name) for name in asked) for a in calls(outcome)]
    assert told == [
        ("CreateBucket", "shop", 200, None, None), ("PutObject", "shop", 200, 5, None), ("PutObject", "shop", 200, 4000, None),
        ("GetObject", "shop", 200, None, 5), ("PutObject", "shop", 200, 5000, None), ("GetObject", "shop", 404, None, None),
    ]  # fmt: skip
    assert calls(outcome)[-1]["error.type"] == "botocore.errorfactory.NoSuchKey"
