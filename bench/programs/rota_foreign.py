"""Tells the state of a run of another system now and then; prints each run's id and when it was told, Unix seconds."""

import sys
import time

from rota.foreign import Source

source = Source("bench")
for _ in range(int(sys.argv[1])):
    at_ns = time.time_ns()
    source.run("bench.foreign", ("bench", str(at_ns)), "running", at_ns)
    source.flush()  # as observers do at what people wait for
    print(source.run_id(("bench", str(at_ns))), at_ns / 1e9)
    time.sleep(0.02)
