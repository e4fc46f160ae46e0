"""How long until something happens: the command line's help, and a table of 1,000 rows, process included?"""

import sys
from collections.abc import Callable
from dataclasses import replace

from benchmarks.data import LINEITEM
from benchmarks.harness import MiB, Options, Result, copy_command, main, measure, median_of
from benchmarks.shelf import shelf

HELP_SECONDS = 0.5
SMALL_COPY_SECONDS = 1.5
SMALL_SCALE = 1 / 6000  # about 1,000 rows


def run(options: Options) -> Result:
    result = Result()
    with shelf(replace(options, scale=SMALL_SCALE)) as place:
        source = place.source("sqlite", LINEITEM)

        def show_help() -> list[str]:
            return [sys.executable, "-m", "arrowsync", "--help"]

        def copy_few() -> list[str]:
            return copy_command(source, place.target("postgresql", LINEITEM), table=LINEITEM.name)

        time_it(result, "arrowsync --help", show_help, HELP_SECONDS, options.repeat)
        time_it(result, "1,000 rows, SQLite → PostgreSQL", copy_few, SMALL_COPY_SECONDS, options.repeat)
    return result


def time_it(result: Result, name: str, command: Callable[[], list[str]], limit: float, repeat: int) -> None:
    row = result.row(process=name)
    with result.attempt(row):
        middle = median_of([measure(command()) for _ in range(repeat + 1)][1:])  # less the warm-up
        row |= {
            "seconds": middle.seconds,
            "cpu_seconds": middle.cpu_seconds,
            "peak_mib": middle.peak_bytes / MiB,
        }
        result.check(name, f"{middle.seconds:.2f} s", f"≤ {limit} s", passed=middle.seconds <= limit)


if __name__ == "__main__":
    main("startup", run)
