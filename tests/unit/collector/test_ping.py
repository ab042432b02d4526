"""What a ping says, read from its address and its body."""

from __future__ import annotations

import pytest

from rota.rules.declared import Declared
from rota_collector.domain.ping import TAIL_BYTES, Refused, address, last_lines, may_be_made, read, text_of

RID = "0F8FAD5B-D9CB-469F-A165-70867728950E"


@pytest.mark.parametrize(
    ("path", "rest"), [("/ping/k", ()), ("/ping/k/", ()), ("/ping/k/start", ("start",)), ("/ping/k/s/fail/", ("s", "fail"))]
)
def test_a_path_is_a_key_and_what_follows(path: str, rest: tuple[str, ...]) -> None:
    """The key comes first, and one slash too many at the end is none."""
    assert address(path) == ("k", rest)


@pytest.mark.parametrize("path", ["/ping/", "/ping//start", "/ping/k//start", "/ping/k/a/b/c"])
def test_a_path_of_another_form_is_not_found(path: str) -> None:
    """Without a key, with an empty part, or with too many, there is nothing to ping."""
    with pytest.raises(Refused, match="not found"):
        address(path)


@pytest.mark.parametrize(
    ("word", "state", "reason", "exit_code"),
    [
        ("start", "running", None, None),
        ("log", None, None, None),
        ("fail", "failed", "ping", None),
        ("0", "succeeded", None, 0),
        ("255", "failed", "exit", 255),
    ],
)
def test_a_word_is_a_state(word: str, state: str | None, reason: str | None, exit_code: int | None) -> None:
    """Each word says how the run is, behind a bound key as behind a slug."""
    for ping in (read((word,), "", is_bound=True), read(("backup", word), "", is_bound=False)):
        assert (ping.state, ping.reason, ping.exit_code) == (state, reason, exit_code)


def test_no_word_is_success() -> None:
    """An address without a word says that the run succeeded; behind a free key the first part is a slug, whatever it is."""
    assert read((), "", is_bound=True).state == "succeeded"
    assert (read(("start",), "", is_bound=False).slug, read(("start",), "", is_bound=False).state) == ("start", "succeeded")


@pytest.mark.parametrize(
    ("rest", "query"), [(("256",), ""), (("9999",), ""), ((), "rid=7"), ((), "rid="), ((), f"rid={{{RID}}}")]
)
def test_what_cannot_be_is_out_of_form(rest: tuple[str, ...], query: str) -> None:
    """An exit status above 255 and a rid that is no UUID are 400."""
    with pytest.raises(Refused) as refused:
        read(rest, query, is_bound=True)
    assert (refused.value.status, refused.value.text) == (400, "invalid url format")


def test_a_rid_has_one_spelling() -> None:
    """A rid in capitals is the same run."""
    assert read((), f"rid={RID}", is_bound=True).rid == RID.lower()


def test_only_a_ping_that_creates_declares() -> None:
    """A schedule in the query counts with create=1, and is ignored without it."""
    query = "schedule=0+2+*+*+*&grace=10m"
    assert read(("w",), query + "&create=1", is_bound=False).declared == Declared(schedule="0 2 * * *", grace="10m")
    assert read(("w",), query, is_bound=False).declared == Declared()


def test_only_a_plain_name_is_made() -> None:
    """create=1 makes a workflow of letters, digits, dots, underscores and hyphens; another name is out of form."""
    assert may_be_made(read(("etl.load",), "create=1", is_bound=False))
    assert not may_be_made(read(("etl.load",), "", is_bound=False))
    with pytest.raises(Refused, match="invalid url format"):
        may_be_made(read(("a%2Fb",), "create=1", is_bound=False))


def test_any_body_is_text() -> None:
    """What is no UTF-8, and NUL, is replaced."""
    assert text_of(b"a\0b\xff") == "a\ufffdb\ufffd"


def test_the_error_is_the_end_of_the_output() -> None:
    """Of a long output the last ten lines are the error, and never more than fits into a message."""
    assert last_lines("\n".join(map(str, range(30))) + "\n\n").split("\n") == [str(i) for i in range(20, 30)]
    assert len(last_lines("ä" * 5000).encode()) <= TAIL_BYTES
