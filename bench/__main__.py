"""``python -m bench [--quick] [MEASUREMENT …]``: measure, print the tables, and write ``bench/results/`` and ``docs/cost.md``."""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
import time
from pathlib import Path

from bench import cost, machine, report

MEASUREMENTS = (
    "startup",
    "exits",
    "memory",
    "exec_true",
    "task_span",
    "calls",
    "permitted",
    "million",
    "small_requests",
    "watching",
    "permission",
    "orchestrated",
    "rules",
    "observers",
    "ingest",
    "scale",
    "curve",
    "page",
)
QUICK = 0.15


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: all was measured, whatever the figures say; 1: something could not be measured."""
    args = _parser().parse_args(arguments)
    taken = {"taken_at": datetime.datetime.now(datetime.UTC).date().isoformat(), "effort": args.effort}
    taken["machine"] = machine.described()
    failed = [name for name in args.measurements or MEASUREMENTS if not _measured(name, taken, args.results)]
    (args.results / "README.md").write_text(report.page(args.results), encoding="utf-8")
    if args.results == report.RESULTS:
        cost.PAGE.write_text(cost.renew(args.results), encoding="utf-8")
    for name in failed:
        print(f"bench: {name} could not be measured", file=sys.stderr)
    return 1 if failed else 0


def _measured(name: str, taken: dict[str, object], results: Path) -> bool:
    print(f"{name} …", flush=True)
    began = time.monotonic()
    try:
        figures = importlib.import_module(f"bench.{name}").measure(taken["effort"])
    except Exception as error:  # noqa: BLE001  the other measurements do not depend on it
        print(f"  {type(error).__name__}: {error}", flush=True)
        return False
    report.save(name, figures, taken, results)
    print(f"{report.table(figures)}\n({time.monotonic() - began:.0f} s)\n", flush=True)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure rota beside its peers, in turn, on this machine.")
    help_text = f"{', '.join(MEASUREMENTS)}; none named: all"
    parser.add_argument("measurements", nargs="*", type=_measurement, metavar="MEASUREMENT", help=help_text)
    parser.add_argument(
        "--quick", dest="effort", action="store_const", const=QUICK, default=1.0, help="a short pass, below two minutes"
    )
    parser.add_argument(
        "--effort", type=float, default=1.0, help="share of the rounds of a whole pass; --quick is the same as 0.15"
    )
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="the folder to write to")
    return parser


def _measurement(name: str) -> str:
    """A known name. (``choices`` would refuse the empty list that ``*`` makes of nothing, on Python 3.11.)"""
    if name not in MEASUREMENTS:
        raise argparse.ArgumentTypeError(f"there is no measurement {name!r}; there are {', '.join(MEASUREMENTS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
