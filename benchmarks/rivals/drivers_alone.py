"""What the ADBC drivers take by themselves: SOURCE TARGET TABLE. The floor for any program over them.

Read, cast, ingest, on threads. Nothing is planned, sized, bounded, checked, counted, fingerprinted or
journalled, and the column forms are written down here for the two tables that race.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import adbc_driver_postgresql.dbapi as postgresql
import adbc_driver_sqlite.dbapi as sqlite
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data import KEYLESS, TEXTS, Dataset

PARTS = 8  # of a table; threads take the next one
THREADS = 2 * (os.cpu_count() or 1)  # with as many as cores PostgreSQL → PostgreSQL took 3 % longer
READ_BYTES, GROUP_ROWS = 4 << 20, 250_000
DRIVER = os.environ.get("ARROWSYNC_POSTGRESQL_DRIVER")  # as for arrowsync

Part = Callable[[], Iterator[pa.RecordBatch]]


def main(source: str, target: str, table: str) -> None:
    dataset = {each.name: each for each in (KEYLESS, TEXTS)}[table]
    schema = pa.schema([(name, stored(declared, target)) for name, declared in dataset.columns.items()])
    parts = [cast(part, schema) for part in parts_of(source, dataset)]
    if target.startswith("postgresql:"):
        with connected(target) as connection, connection.cursor() as cursor:
            cursor.execute(dataset.ddl())
        taking_turns(parts, lambda part: ingest_postgresql(target, table, schema, part()))
        return
    batches = pa.RecordBatchReader.from_batches(schema, gathered(parts))
    if target.endswith(".parquet"):
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for group in grouped(batches):
                writer.write_table(group)
    else:
        with sqlite.connect(target.removeprefix("sqlite:///")) as connection, connection.cursor() as cursor:
            cursor.execute(dataset.ddl())
            cursor.adbc_ingest(table, batches, mode="append")
            connection.commit()


def stored(declared: str, place: str) -> pa.DataType:
    """What the place's driver takes for a column."""
    kind, in_sqlite = declared.split()[0], place.startswith("sqlite:")
    if kind.startswith("decimal"):
        return pa.float64() if in_sqlite else pa.decimal128(15, 2)
    if kind == "date":
        return pa.string() if in_sqlite else pa.date32()
    return {"bigint": pa.int64(), "integer": pa.int32()}.get(kind, pa.string())


# -- reading -----------------------------------------------------------------------------------------------


def parts_of(source: str, dataset: Dataset) -> list[Part]:
    if source.endswith(".parquet"):
        groups = pq.read_metadata(source).num_row_groups
        return [
            read_parquet(source, range(n * groups // PARTS, (n + 1) * groups // PARTS)) for n in range(PARTS)
        ]
    in_sqlite = source.startswith("sqlite:")
    if in_sqlite:
        place, decimal = source.removeprefix("sqlite:///"), "{} + 0.0"
        count, ranges = f"select max(rowid) + 1 from {dataset.name}", "rowid >= {} and rowid < {}"
    else:
        place, decimal = source, "{}::text"
        count = f"select (pg_relation_size('{dataset.name}') / 8192)::int8 + 1"
        ranges = "ctid >= '({},0)' and ctid < '({},0)'"
    columns = ", ".join(
        decimal.format(name) if declared.startswith("decimal") else name
        for name, declared in dataset.columns.items()
    )
    with connected(place, in_sqlite) as connection, connection.cursor() as cursor:
        cursor.execute(count)
        (most,) = cursor.fetchone()
    query = f"select {columns} from {dataset.name} where {ranges}"
    return [
        read_database(place, in_sqlite, query.format(most * n // PARTS, most * (n + 1) // PARTS))
        for n in range(PARTS)
    ]


def connected(place: str, in_sqlite: bool = False) -> postgresql.Connection:
    if in_sqlite:
        return sqlite.connect(f"file:{place}?mode=ro", autocommit=True)
    if DRIVER:
        import adbc_driver_manager.dbapi as manager

        return manager.connect(driver=DRIVER, db_kwargs={"uri": place}, autocommit=True)
    return postgresql.connect(place, autocommit=True)


def read_database(place: str, in_sqlite: bool, query: str) -> Part:
    options = (
        {"adbc.sqlite.query.batch_rows": 16_384}
        if in_sqlite
        else {"adbc.postgresql.batch_size_hint_bytes": READ_BYTES}
    )

    def batches() -> Iterator[pa.RecordBatch]:
        with connected(place, in_sqlite) as connection, connection.cursor(adbc_stmt_kwargs=options) as cursor:
            cursor.execute(query)
            yield from cursor.fetch_record_batch()

    return batches


def read_parquet(path: str, groups: range) -> Part:
    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as file:
            yield from file.iter_batches(16_384, row_groups=list(groups), use_threads=False)

    return batches


def cast(part: Part, schema: pa.Schema) -> Part:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in part():
            arrays = [
                array if array.type == field.type else array.cast(field.type)
                for array, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return batches


# -- writing -----------------------------------------------------------------------------------------------


def ingest_postgresql(target: str, table: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with connected(target) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, pa.RecordBatchReader.from_batches(schema, batches), mode="append")


def taking_turns(parts: list[Part], work: Callable[[Part], None]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, parts))  # a list, so that errors are raised


def gathered(parts: list[Part]) -> Iterator[pa.RecordBatch]:
    """All parts' batches, read on threads."""
    queue: Queue[pa.RecordBatch | None] = Queue(4)

    def read(part: Part) -> None:
        for batch in part():
            queue.put(batch)

    def read_all() -> None:
        try:
            taking_turns(parts, read)
        finally:
            queue.put(None)  # rows that are missing then are for the proof to find

    threading.Thread(target=read_all).start()
    while (batch := queue.get()) is not None:
        yield batch


def grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(each.num_rows for each in pending) >= GROUP_ROWS:
            yield pa.Table.from_batches(pending)
            pending = []
    if pending:
        yield pa.Table.from_batches(pending)


if __name__ == "__main__":
    main(*sys.argv[1:])
