"""Measures what a value costs a driver that reads it.

In CPU time of this thread, which a busy machine hardly changes, and as a multiple of what an Arrow kernel
takes in the same moment, so that it says the same on a slow processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from arrowsync.core.doctor import Speed
from arrowsync.diagnostics import fake_postgresql
from arrowsync.dialects.dialect import Dialect
from arrowsync.endpoints.connections import AdbcConnection, Address, BareAdbcConnection
from arrowsync.endpoints.drivers import ChosenDriver

RUNS = 5  # the best one counts: what disturbs only ever adds
KERNEL_VALUES = 50_000
SQLITE_ROWS = 10_000

# The ratio from which a driver counts as built without optimisation. PostgreSQL: the wheel takes 3.9 to 4.4
# (110 ns), its public source built with -O0 as much, with -O3 0.7 to 1.0 (22 ns), beside four busy processes
# on two cores as on an idle machine. SQLite: the wheel takes 1.7 to 2.0 (46 ns), most of it in SQLite itself,
# so that an -O0 driver takes no more than 2.4, not worth a word, and only a slow SQLite would take double.
SLOW_FROM = {"postgresql": 2.0, "sqlite": 4.0}


@dataclass(frozen=True, slots=True)
class Sample:
    """A table to read over a connection, and how many values it has."""

    connection: AdbcConnection
    query: str
    values: int


@contextmanager
def sample(dialect: Dialect, driver: ChosenDriver) -> Iterator[Sample]:
    """A table that the driver reads without a server's help. Raises KeyError for a dialect without one."""
    with _SAMPLES[dialect.name](dialect, driver) as made:
        yield made


@contextmanager
def _postgresql(dialect: Dialect, driver: ChosenDriver) -> Iterator[Sample]:
    with (
        fake_postgresql.serving() as uri,
        BareAdbcConnection(Address(uri, driver, dialect), read_only=True) as connection,
    ):
        yield Sample(connection, fake_postgresql.QUERY, fake_postgresql.VALUES)


@contextmanager
def _sqlite(dialect: Dialect, driver: ChosenDriver) -> Iterator[Sample]:
    column = {
        "integer": pa.array(range(10**12, 10**12 + SQLITE_ROWS)),
        "real": pa.array([n / 7 for n in range(SQLITE_ROWS)]),
        "text": pa.array(["a note of some length"] * SQLITE_ROWS),
    }
    table = pa.table({f"{type_}_{n}": values for n in range(4) for type_, values in column.items()})
    declared = ", ".join(f"{name} {name.partition('_')[0]}" for name in table.column_names)
    with TemporaryDirectory(prefix="arrowsync-doctor-") as folder:
        address = Address(str(Path(folder, "measured.db")), driver, dialect)
        with AdbcConnection(address, read_only=False) as connection:
            connection.run(f"create table measured ({declared})")
            connection.ingest("measured", table.to_reader(), {})
            yield Sample(connection, "select * from measured", table.num_rows * table.num_columns)


_SAMPLES = {"postgresql": _postgresql, "sqlite": _sqlite}


def measure(sample: Sample) -> Speed:
    """Read it some times, a kernel's run in between."""
    times = [(_cpu_seconds(lambda: _read(sample)), _cpu_seconds(_kernel)) for _ in range(RUNS)]
    reading, kernel = (min(column) for column in zip(*times, strict=True))
    nanoseconds = reading / sample.values * 1e9
    ratio = nanoseconds / (kernel / KERNEL_VALUES * 1e9)
    return Speed(nanoseconds, ratio, slow=ratio >= SLOW_FROM[sample.connection.dialect.name])


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def _read(sample: Sample) -> None:
    with sample.connection.stream(sample.query, {}) as batches:
        for _ in batches:
            pass


def _kernel() -> None:
    """Like a driver it parses, value by value; 25 ns each where the thresholds were found."""
    _texts().cast(pa.decimal128(12, 2))


@cache
def _texts() -> pa.Array:
    return pa.array([f"{number * 997}.67" for number in range(KERNEL_VALUES)])
