"""SQLite to PostgreSQL with rows as Python tuples, as most scripts do it: METHOD FILE URI TABLE DDL ROWS."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice

BATCH_ROWS = 1000


def rows_of(file: str, table: str, rows: int) -> Iterator[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        yield from connection.execute(f"select * from {table} limit {rows}")


def batches_of(file: str, table: str, rows: int) -> Iterator[list[tuple[object, ...]]]:
    source = rows_of(file, table, rows)
    while batch := list(islice(source, BATCH_ROWS)):
        yield batch


def multi_row_insert(file: str, uri: str, table: str, ddl: str, rows: int) -> None:
    import psycopg

    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(ddl.encode())
        for batch in batches_of(file, table, rows):
            one = f"({', '.join(['%s'] * len(batch[0]))})"
            insert = f"insert into {table} values {', '.join([one] * len(batch))}"
            cursor.execute(insert.encode(), list(chain.from_iterable(batch)))


def executemany(file: str, uri: str, table: str, ddl: str, rows: int) -> None:
    import psycopg

    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(ddl.encode())
        for batch in batches_of(file, table, rows):
            insert = f"insert into {table} values ({', '.join(['%s'] * len(batch[0]))})"
            cursor.executemany(insert.encode(), batch)


def copy_rows(file: str, uri: str, table: str, ddl: str, rows: int) -> None:
    import psycopg

    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(ddl.encode())
        with cursor.copy(f"copy {table} from stdin".encode()) as copy:
            for row in rows_of(file, table, rows):
                copy.write_row(row)


def pandas_to_sql(file: str, uri: str, table: str, ddl: str, rows: int) -> None:
    import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]  # not this environment
    import sqlalchemy  # type: ignore[import-not-found, unused-ignore]

    # It makes its own table: it sends dates as varchar, which a date column refuses.
    target = sqlalchemy.create_engine(uri.replace("postgresql://", "postgresql+psycopg://", 1))
    with closing(sqlite3.connect(file)) as source, target.begin() as connection:
        query = f"select * from {table} limit {rows}"
        for frame in pd.read_sql(query, source, chunksize=BATCH_ROWS):
            frame.to_sql(table, connection, if_exists="append", index=False)


if __name__ == "__main__":
    methods = {each.__name__: each for each in (multi_row_insert, executemany, copy_rows, pandas_to_sql)}
    method, file, uri, table, ddl, rows = sys.argv[1:]
    methods[method](file, uri, table, ddl, int(rows))
