"""``python -m rota_collector``: everything starts here, in this order, and stops in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence

from duckdb import FatalException  # noqa: F401

from rota_collector import __version__, decode, home, ports
from rota_collector.api import app as api
from rota_collector.clock import SystemClock
from rota_collector.config import Config
from rota_collector.errors import CollectorError, PortBusy
from rota_collector.journal import Journal, Record
from rota_collector.server import HttpServer
from rota_collector.store.control import Control
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.followers import Follower
