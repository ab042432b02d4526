"""``python -m bench.history HOME [--days …]``: the command."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.history import make
from rota_collector.errors import CollectorError


def main(arguments: list[str] | None = None) -> int:
    """Make a history and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description="Make the home of a collector with a history.")
    parser.add_argument("home", type=Path, help="a folder that holds none yet")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--workflows", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="with a run of 50,000 spans")
    parser.add_argument("--hostile", action="store_true", help="with a run whose texts are attacks")
    asked = vars(parser.parse_args(arguments))
    began = time.monotonic()
    try:
        story = make(asked.pop("home").absolute(), **asked)
    except (CollectorError, FileExistsError, ValueError) as error:
        print(f"bench.history: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}: {value}" for name, value in story._asdict().items()))
    print(f"made in {time.monotonic() - began:.0f} s; look at it with: ROTA_HOME={story.home} rota collector")
    return 0


if __name__ == "__main__":
    sys.exit(main())
