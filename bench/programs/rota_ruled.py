"""A run whose task tells that there are no rows; prints when that was (Unix seconds), and waits to be ended."""

import signal
import sys
import time

import rota


def ended(_number, _frame):
    """Print when the signal came."""
    print(time.time(), flush=True)
    sys.exit(143)


signal.signal(signal.SIGTERM, ended)
rota.watch("ruled")


def extract():
    """Tells a fact."""
    rota.record(rows=0)


extract()
print(time.time(), flush=True)
time.sleep(120)
