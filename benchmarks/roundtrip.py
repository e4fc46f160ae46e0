"""Does lineitem come through SQLite → PostgreSQL → SQLite → PostgreSQL unchanged, and do batches adapt?

Unchanged means: the same fingerprint at every step, and the same cells for clients other than arrowsync's.
"""

from itertools import pairwise

from benchmarks.data import LINEITEM
from benchmarks.harness import Options, Result, arrowsync_copy, main, say
from benchmarks.proof import digest
from benchmarks.shelf import Shelf, shelf

STEPS = ("sqlite", "postgresql", "sqlite", "postgresql")


def run(options: Options) -> Result:
    result = Result()
    with shelf(options) as place:
        first = place.source(STEPS[0], LINEITEM)
        places = [first, *(place.target(kind, LINEITEM, f"step_{n}") for n, kind in enumerate(STEPS[1:], 1))]
        for source, target in pairwise(places):
            if not step(result, source, target):
                return result  # what follows would copy nothing
        same(result, "fingerprint", [str(row["fingerprint"]) for row in result.rows])
        say("reading all places with other clients")
        same(result, "cells read by other clients", [digest(each, LINEITEM) for each in places])
        batches_adapt(result, place, first)
    return result


def step(result: Result, source: str, target: str, memory: str = "512 MiB") -> bool:
    """Copy and read back; whether that worked."""
    kinds = " → ".join(each.partition(":")[0] for each in (source, target))
    row = result.row(step=kinds, limit=memory)
    with result.attempt(row):
        copied = arrowsync_copy(source, target, table=LINEITEM.name, verify="hash", limits={"memory": memory})
        wanted = ("rows_written", "fingerprint", "verified", "batches", "batch_rows_min", "batch_rows_max")
        row |= {"seconds": copied.measured.seconds} | {name: copied.report[name] for name in wanted}
        return True
    return False


def same(result: Result, what: str, values: list[str]) -> None:
    result.check(
        what, ", ".join(dict.fromkeys(values)), f"{len(values)} times the same", len(set(values)) == 1
    )


def batches_adapt(result: Result, place: Shelf, source: str) -> None:
    default = result.rows[0]
    if not step(result, source, place.target("postgresql", LINEITEM), "64 MiB"):
        return
    least, most = int(str(default["batch_rows_min"])), int(str(default["batch_rows_max"]))
    tight = int(str(result.rows[-1]["batch_rows_max"]))
    result.check(
        "batches grow in the default run", f"{least} … {most} rows", "max ≥ 2 × min", most >= 2 * least
    )
    result.check("batches are smaller at 64 MiB", f"{tight} rows", f"max < {most}", tight < most)


if __name__ == "__main__":
    main("roundtrip", run)
