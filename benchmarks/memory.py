"""Does a copy stay within its memory limit, on every route, with any number of workers, however many rows?

What counts is the peak RSS of the whole process less that of one that only imports the same modules.
"""

import json
import sys
from functools import cache
from itertools import product

from benchmarks.data import DOCUMENTS, LINEITEM, Dataset
from benchmarks.harness import Copied, MiB, Options, Result, arrowsync_copy, label, main, measure
from benchmarks.shelf import ROUTES, Route, Shelf, routes, shelf

LIMITS_MIB = (64, 512, 2048)
WORKERS = (1, 4)
FLAT = 1.1  # ten times the rows may take a tenth more
FLAT_RUNS = 3  # the largest counts: how far the sizer gets differs from run to run
IMPORT = """
import contextlib, importlib, json, sys
for name in json.loads(sys.argv[1]):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""


def run(options: Options) -> Result:
    result = Result()
    with shelf(options) as place:
        for route in routes(options, (*ROUTES, ("sqlite", "sqlite"))):
            for limit, workers in product(LIMITS_MIB, WORKERS):
                within_limit(result, place, route, LINEITEM, limit, workers)
            within_limit(result, place, route, DOCUMENTS, LIMITS_MIB[0], WORKERS[-1])
            stays_flat(result, place, route)
    return result


def within_limit(
    result: Result, place: Shelf, route: Route, dataset: Dataset, limit: int, workers: int
) -> float | None:
    """Copy once; the MiB that the copy added, None when it failed."""
    row = result.row(
        route=" → ".join(route), table=dataset.name, scale=place.scale, limit_mib=limit, workers=workers
    )
    what = label(row)
    with result.attempt(row):
        copied = arrowsync_copy(
            place.source(route[0], dataset),
            place.target(route[1], dataset),
            table=dataset.name,
            workers=workers,
            limits={"memory": f"{limit} MiB"},
        )
        added = added_bytes(copied) / MiB
        report = copied.report
        row |= {
            "rows": report["rows_written"],
            "seconds": copied.measured.seconds,
            "added_mib": added,
            "imports_mib": imports_alone(copied.modules) / MiB,
            "reported_mib": report["peak_memory"] / MiB,
            "batch_rows_min": report["batch_rows_min"],
            "batch_rows_max": report["batch_rows_max"],
            "pauses": report["pauses"],
        }
        result.check(what, f"{added:.1f} MiB added", f"< {limit} MiB", added < limit)
        return added
    return None


def stays_flat(result: Result, place: Shelf, route: Route) -> None:
    """A tenth of the rows and all of them, at the default limit."""

    def largest(at: Shelf) -> float:
        return max(within_limit(result, at, route, LINEITEM, 512, 2) or 0.0 for _ in range(FLAT_RUNS))

    few, many = largest(place.at(place.scale / 10)), largest(place)
    if few and many:
        ratio = many / few
        result.check(
            f"{' → '.join(route)} · 10 × the rows", f"{ratio:.2f} ×", f"≤ {FLAT} ×", passed=ratio <= FLAT
        )


def added_bytes(copied: Copied) -> int:
    return copied.measured.peak_bytes - imports_alone(copied.modules)


@cache
def imports_alone(modules: tuple[str, ...]) -> int:
    """The peak of a process that imports these and ends."""
    return measure([sys.executable, "-c", IMPORT, json.dumps(modules)]).peak_bytes


if __name__ == "__main__":
    main("memory", run)
