"""Times each of so many tasks with one fact; prints quantiles in ns, and the resident kB before and after, as JSON."""

import array
import json
import sys
from time import perf_counter_ns


def resident() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


count, is_watched = int(sys.argv[1]), sys.argv[2] == "watched"
if is_watched:
    import rota

    rota.watch()
    task, record = rota.task, rota.record
else:
    import contextlib

    def task(name):
        return contextlib.nullcontext()

    def record(**facts):
        pass


taken = array.array("q", bytes(8 * count))
warm_kb = 0
for number in range(count):
    if number == count // 10:
        warm_kb = resident()
    began = perf_counter_ns()
    with task("row"):
        record(number=number)
    taken[number] = perf_counter_ns() - began
end_kb = resident()
ordered = sorted(taken)
quantiles = {name: ordered[min(count - 1, int(count * share))] for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}
print(json.dumps({**quantiles, "most": ordered[-1], "total": sum(ordered), "warm_kb": warm_kb, "end_kb": end_kb}))
