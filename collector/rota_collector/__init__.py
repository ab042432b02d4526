"""The rota collector: receives, keeps, watches the clock, decides, alerts."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rota")
except PackageNotFoundError:  # run from a bare checkout
    __version__ = "0"
