"""The engine's steps on a batch of lineitem's shape: 16 columns of 8 k rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from arrowsync.core.units import GiB, MiB
from arrowsync.engine.batches import nbytes, regroup
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.fingerprint import canonical, fingerprint
from arrowsync.engine.memory import MemoryTracker
from arrowsync.engine.row_hashes import row_hashes
from arrowsync.engine.sizing import AdaptiveSizer

ROWS = 8_192
DICE = np.random.default_rng(20260823)
NUMBERS = pa.array(DICE.integers(0, 10_000_000, ROWS))
LINEITEM = pa.record_batch(
    {f"integer{n}": NUMBERS for n in range(4)}
    | {f"decimal{n}": NUMBERS.cast(pa.decimal128(19, 0)).cast(pa.decimal128(21, 2)) for n in range(4)}
    | {
        f"date{n}": pa.array(DICE.integers(8_000, 10_000, ROWS), pa.int32()).cast(pa.date32())
        for n in range(3)
    }
    | {f"text{n}": NUMBERS.cast(pa.string()) for n in range(5)}
)


def test_a_decision_of_the_sizer(benchmark: BenchmarkFixture) -> None:
    sizer = AdaptiveSizer(row_bytes=140, ceiling_bytes=8 * MiB, table_rows=6_000_000)
    allocated = pa.total_allocated_bytes()
    benchmark(lambda: sizer.observe(sizer.rows, sizer.rows * 140, 0.05))
    assert pa.total_allocated_bytes() == allocated


def test_a_memory_sample(benchmark: BenchmarkFixture) -> None:
    tracker = MemoryTracker(GiB)
    benchmark(lambda: tracker.used)


def test_a_lease(benchmark: BenchmarkFixture) -> None:
    tracker, cancellation = MemoryTracker(GiB), Cancellation()
    benchmark(lambda: tracker.acquire(MiB, cancellation).release())


def test_bytes_of_a_batch(benchmark: BenchmarkFixture) -> None:
    benchmark(lambda: nbytes(LINEITEM))


def test_regroup_merging(benchmark: BenchmarkFixture) -> None:
    pieces = [LINEITEM.slice(start, 1_024) for start in range(0, ROWS, 1_024)]
    per_value(benchmark, lambda: list(regroup(pieces, lambda: ROWS, lambda: GiB)))


def test_regroup_slicing(benchmark: BenchmarkFixture) -> None:
    per_value(benchmark, lambda: list(regroup([LINEITEM], lambda: 1_024, lambda: GiB)))


def test_fingerprint(benchmark: BenchmarkFixture) -> None:
    per_value(benchmark, lambda: fingerprint(LINEITEM.columns, LINEITEM.schema.types, secret=2**127))


ENDS = pa.array(range(0, 4 * ROWS + 1, 4), pa.int32())
LEAVES = pa.array(DICE.integers(0, 10_000_000, 4 * ROWS))
NESTED = {
    "lists": pa.ListArray.from_arrays(ENDS, LEAVES.cast(pa.float32())),
    "structs": pa.StructArray.from_arrays([LEAVES, LEAVES.cast(pa.string())], ["number", "text"]),
    "maps": pa.MapArray.from_arrays(ENDS, LEAVES.cast(pa.string()), LEAVES),
    "lists of dictionaries": pa.ListArray.from_arrays(ENDS, LEAVES.cast(pa.string()).dictionary_encode()),
}


@pytest.mark.parametrize("name", NESTED)
def test_fingerprint_of_nested_values(name: str, benchmark: BenchmarkFixture) -> None:
    array = NESTED[name]
    benchmark.extra_info["values"] = len(LEAVES) * (1 if name.startswith("lists") else 2)
    benchmark(lambda: fingerprint([array], [array.type], secret=2**127))


def test_the_second_lane_alone(benchmark: BenchmarkFixture) -> None:
    columns = [canonical(column, column.type) for column in LINEITEM.columns]
    per_value(benchmark, lambda: row_hashes(columns, [2**127]))


def per_value(benchmark: BenchmarkFixture, step: Callable[[], Any]) -> None:  # Any: it is thrown away
    benchmark.extra_info["values"] = LINEITEM.num_rows * LINEITEM.num_columns
    benchmark(step)
