"""The plugin for pytest (>= 7): the fixture ``rota_runs``, and ``--rota``, which makes a test session a run.

Everybody who has rota and pytest loads this file: all that costs something is imported when it is asked for.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from rota.testing import Captured


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each with its setting in the configuration file."""
    group = parser.getgroup("rota", "observing the tests with rota")
    group.addoption("--rota", action="store_true", help="tell rota of this session: it is a run, and each test a task")
    group.addoption("--rota-name", metavar="NAME", help="the workflow's name; default: the root folder's, with .tests after it")
    parser.addini("rota", "as --rota", type="bool", default=False)
    parser.addini("rota_name", "as --rota-name", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the session, when that was asked for."""
    if config.getoption("--rota") or config.getini("rota"):
        from rota._pytest_session import WatchedSession

        name: str = config.getoption("--rota-name") or config.getini("rota_name")
        config.pluginmanager.register(WatchedSession(name), "rota-session")


@pytest.fixture
def rota_runs() -> Iterator[Captured]:
    """What the test's code tells rota, in memory (``rota.testing.Captured``). What rota swallows is an error of the test."""
    from rota.testing import capture

    with capture() as captured:
        yield captured
