"""Proves that two places hold the same cells, as clients other than arrowsync's read them.

Every row becomes one line of canonical text; lines are hashed and the hashes added, so that order is free.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from benchmarks.data import Dataset

ABSENT = "<null>"
SQLITE_DECIMAL = "iif({0} is null, null, printf('%.2f', {0}))"  # it prints NULL as 0.00


def digest(place: str, dataset: Dataset, *, table: str | None = None, rows: int | None = None) -> str:
    """ "count:hash" of a table's rows, or of its first `rows`."""
    read = (
        _postgresql
        if place.startswith("postgresql:")
        else _sqlite
        if place.startswith("sqlite:")
        else _parquet
    )
    return total(read(place, dataset, table or dataset.name, rows))


def total(lines: Iterable[bytes]) -> str:
    count = added = 0
    for line in lines:
        count += 1
        added += int.from_bytes(blake2b(line, digest_size=8).digest())
    return f"{count}:{added % 2**64:016x}"


def _query(dataset: Dataset, table: str, rows: int | None, decimal: str) -> str:
    def text(name: str, declared: str) -> str:
        spelled = decimal.format(name) if declared.startswith("decimal") else f"cast({name} as text)"
        return f"coalesce({spelled}, '{ABSENT}')"

    columns = " || '|' || ".join(text(*column) for column in dataset.columns.items())
    return f"select {columns} from {table}" + (f" limit {rows}" if rows is not None else "")


def _sqlite(place: str, dataset: Dataset, table: str, rows: int | None) -> Iterator[bytes]:
    # Python's own SQLite is safe here: this process loads no other.
    path = quote(place.removeprefix("sqlite:///"))
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        connection.text_factory = bytes
        for (line,) in connection.execute(_query(dataset, table, rows, SQLITE_DECIMAL)):
            yield line
    finally:
        connection.close()


def _postgresql(place: str, dataset: Dataset, table: str, rows: int | None) -> Iterator[bytes]:
    import psycopg

    query = _query(dataset, table, rows, "cast(cast({} as numeric(15,2)) as text)")
    copy = f"copy ({query}) to stdout".encode()  # the tables hold nothing that it escapes
    with psycopg.connect(place) as connection, connection.cursor() as cursor, cursor.copy(copy) as copied:
        for line in copied:
            yield bytes(line).removesuffix(b"\n")


def _parquet(place: str, dataset: Dataset, table: str, rows: int | None) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(Path(place)).iter_batches():
        texts = [batch[name].cast(pa.string()).fill_null(ABSENT) for name in dataset.columns]
        for line in pc.binary_join_element_wise(*texts, "|"):
            yield line.as_py().encode()
