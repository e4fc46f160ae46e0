"""Partitions cover each row once, batches keep their types, errors say what to do."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table, TableName
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import (
    ArrowsyncError,
    ConfigError,
    DataError,
    Refused,
    SchemaError,
    TransientError,
)
from tests.unit.dialects.routes import connect, plan_for

SQLITE = SQLite()
Make = Callable[..., Path]


def described(connection: AdbcConnection, name: str = "t") -> Table:
    [table] = SQLITE.describe(connection, [TableName(name)])
    return table


def partitions_of(
    path: Path, target_bytes: int, name: str = "t"
) -> tuple[list[Partition], list[list[object]]]:
    """The partitions, and the first column's values that each reads."""
    with connect(SQLITE, str(path), read_only=True) as connection:
        table = described(connection, name)
        found = SQLITE.partitions(connection, table, target_bytes)
        plan = plan_for(connection, connection, table, TableName("u"))
        return found, [values(connection, plan, partition) for partition in found]


def values(connection: AdbcConnection, plan: TablePlan, partition: Partition) -> list[object]:
    with connection.stream(SQLITE.select(plan, partition), {}) as batches:
        return [value for batch in SQLITE.unwrap(batches, plan) for value in batch.column(0).to_pylist()]


# -- partitions --------------------------------------------------------------------------------------------


def filled(columns: str, select: str, rows: int = 1000) -> str:
    numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})"
    return f"create table if not exists t({columns}; {numbers} insert into t select {select} from n;"


TABLES = {
    "dense": filled("id integer primary key)", "i"),
    "no key": filled("a)", "i"),
    "sparse": filled("id integer primary key)", "i * i * i"),
    "one far away": filled("id integer primary key)", "i", 999)
    + "insert into t values (9223372036854775807)",
    "negative": filled("id integer primary key)", "i - 500"),
    "rowid is a column": filled("rowid, b)", "i, i"),
    "all names taken": filled("rowid, oid, _rowid_)", "i, i, i"),
    "text key": filled("k text primary key) without rowid", "'it''s ' || i"),
    "mixed key": filled("k primary key) without rowid", "i", 500)
    + filled("k)", "hex(i) || 'x'", 300)
    + filled("k)", "randomblob(9)", 200),
    "keys alike before U+0000": filled("k text primary key) without rowid", "'same' || char(0) || i"),
    "UTF-16 keys": "pragma encoding = 'UTF-16le';"
    + filled("k text primary key) without rowid", "'é𝄞' || char(0) || i"),
    "two keys": filled("a, b, primary key (a, b)) without rowid", "i, i"),
    "one row": "create table t(a); insert into t values (1)",
    "empty": "create table t(a)",
}
WHOLE = {"all names taken", "two keys", "one row", "empty"}
CUT = TABLES.keys() - WHOLE


@pytest.mark.parametrize("kind", TABLES)
def test_partitions_cover_each_row_once_and_are_alike(
    sqlite_file: Make, sqlite_rows: Callable[..., list[tuple[object]]], kind: str
) -> None:
    path = sqlite_file(TABLES[kind])
    found, read = partitions_of(path, 2_000)
    rows = [value for part in read for value in part]
    assert [partition.number for partition in found] == list(range(len(found)))
    [(count,)] = sqlite_rows(path, "select count(*) from t")
    assert len(rows) == count == len(set(map(str, rows)))
    assert (len(found) > 1) is (kind in CUT)
    if kind in CUT:
        assert max(map(len, read)) <= 2.5 * count / len(found)


def test_keys_of_broken_utf8_are_cut_too(sqlite_file: Make) -> None:
    path = sqlite_file(filled("v, k text primary key) without rowid", "i, cast(x'ff' || i as text)"))
    found, read = partitions_of(path, 2_000)
    assert len(found) > 1
    assert sorted(value for part in read for value in part) == list(range(1, 1001))


def test_keys_that_the_column_does_not_tell_apart_are_each_in_one_partition(sqlite_file: Make) -> None:
    cases = " || ".join(f"iif(i & {1 << bit}, 'a', 'A')" for bit in range(10))
    path = sqlite_file(filled("k text collate nocase, primary key (k collate binary)) without rowid", cases))
    _, read = partitions_of(path, 2_000)
    assert len(set().union(*read)) == sum(map(len, read)) == 1000


def test_a_column_named_rowid_that_is_left_out_cuts_nothing(sqlite_file: Make) -> None:
    path = sqlite_file(filled("v integer, rowid)", "i, iif(i % 2, i, null)"))
    with connect(SQLITE, str(path), read_only=True) as connection:
        table = described(connection)
        narrow = replace(table, columns=table.columns[:1])
        found = SQLITE.partitions(connection, narrow, 2_000)
        plan = plan_for(connection, connection, narrow, TableName("u"))
        read = [value for partition in found for value in values(connection, plan, partition)]
    assert len(found) > 1
    assert read == list(range(1, 1001))


def test_views_and_queries_are_one_partition(sqlite_file: Make) -> None:
    path = sqlite_file(TABLES["dense"] + "create view v as select id from t")
    found, [rows] = partitions_of(path, 1, "v")
    assert (found, len(rows)) == ([Partition(0)], 1000)


def test_where_narrows_every_partition_whatever_it_says(sqlite_file: Make) -> None:
    path = sqlite_file(TABLES["dense"])
    with connect(SQLITE, str(path), read_only=True) as connection:
        table = described(connection)
        plan = plan_for(connection, connection, table, TableName("u"), where="id < 3 or id = 900 -- few")
        halves = [Partition(0, "rowid", "rowid", None, "500"), Partition(1, "rowid", "rowid", "500", None)]
        assert [values(connection, plan, half) for half in halves] == [[1, 2], [900]]


# -- batches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 1000])
def test_the_pinned_row_goes_and_every_other_stays(sqlite_file: Make, batch_rows: int) -> None:
    path = sqlite_file(
        "create table t(a text, b real); insert into t values (null, null), ('x', null), (null, 1)"
    )
    with connect(SQLITE, str(path), read_only=True) as connection:
        plan = plan_for(connection, connection, described(connection), TableName("u"))
        options = {"adbc.sqlite.query.batch_rows": batch_rows}
        with connection.stream(SQLITE.select(plan, Partition(0)), options) as batches:
            found = pa.Table.from_batches(SQLITE.unwrap(batches, plan))
    assert found.schema.types == [pa.string(), pa.float64()]
    assert found.to_pydict() == {"a": [None, "x", None], "b": [None, None, 1.0]}


def test_an_empty_table_gives_no_batch(sqlite_file: Make) -> None:
    found, read = partitions_of(sqlite_file("create table t(a)"), 1)
    assert (len(found), read) == (1, [[]])


def test_a_plan_is_refused_where_the_driver_finds_another_type(sqlite_file: Make) -> None:
    path = sqlite_file("create table t(a int, b int); insert into t values (1, 1), (2, 2)")
    with connect(SQLITE, str(path), read_only=True) as connection:
        plan = plan_for(connection, connection, described(connection), TableName("u"))
    for late in ("", "insert into t select a, b from t; insert into t select a, b from t;"):
        sqlite_file(late + "insert into t values (3, 'three')")
        with connect(SQLITE, str(path), read_only=True) as connection, pytest.raises(Refused) as refused:
            values(connection, plan, Partition(0))
        assert refused.value.column == "b"
        sqlite_file("delete from t where b = 'three'")


# -- errors ------------------------------------------------------------------------------------------------

ERRORS = [
    ("insert into t(a) values (1)", DataError, "unique", "a"),
    ("insert into t(a, b) values (null, 0)", DataError, "not null", "a"),
    ("insert into t(a, b) values (5, -1)", DataError, "positive", None),
    ("insert into t(a, c) values (5, 'A')", DataError, "lowered", None),
    ("insert into strict values ('x')", DataError, None, None),
    ("insert into rowid values ('x')", DataError, None, None),
    ("select * from nowhere", SchemaError, None, None),
    ("select nothing from t", SchemaError, None, None),
    ("selekt", SchemaError, None, None),
    ("insert into t(zz) values (1)", SchemaError, None, None),
    ("create table t(a)", ArrowsyncError, None, None),
]
BASE = """
create table t(a int unique not null, b int constraint positive check (b >= 0), c text);
create unique index lowered on t(lower(c)); insert into t values (1, 1, 'a');
create table strict(i integer) strict; create table rowid(id integer primary key);
"""


@pytest.mark.parametrize(("sql", "kind", "constraint", "column"), ERRORS, ids=[case[0] for case in ERRORS])
def test_an_error_says_what_can_be_done_about_it(
    sqlite_file: Make, sql: str, kind: type[ArrowsyncError], constraint: str | None, column: str | None
) -> None:
    with connect(SQLITE, str(sqlite_file(BASE)), read_only=False) as connection:
        with pytest.raises(ArrowsyncError) as caught:
            connection.run(sql)
        assert type(caught.value) is kind
        assert (caught.value.constraint, caught.value.column) == (constraint, column)
        assert not caught.value.message.startswith(("IO", "INTERNAL", "INVALID", "[SQLite]"))


def test_an_ingest_error_is_told_alike(sqlite_file: Make) -> None:
    with connect(SQLITE, str(sqlite_file(BASE)), read_only=False) as connection:
        batch = pa.record_batch({"a": [7, 1]})
        with pytest.raises(DataError, match=r"UNIQUE constraint failed: t\.a \(column 'a'\)"):
            connection.ingest("t", pa.RecordBatchReader.from_batches(batch.schema, [batch]), {})


def test_a_foreign_key_that_fails_is_a_refused_row(sqlite_file: Make) -> None:
    path = sqlite_file("create table p(id integer primary key); create table t(p references p)")
    with connect(SQLITE, str(path), read_only=False) as connection:
        connection.run("pragma foreign_keys = on")
        with pytest.raises(DataError) as caught:
            connection.run("insert into t values (9)")
        assert caught.value.constraint == "foreign key"


def test_a_locked_file_is_tried_again(sqlite_file: Make) -> None:
    path = sqlite_file("create table t(a)")
    with (
        connect(SQLITE, str(path), read_only=False) as first,
        connect(SQLITE, str(path), read_only=False) as second,
    ):
        first.run("begin immediate")
        second.run("pragma busy_timeout = 1")
        with pytest.raises(TransientError, match="locked"):
            second.run(SQLITE.capabilities.begin_write)
        first.run("rollback")


def test_a_full_disk_stops(sqlite_file: Make) -> None:
    with connect(SQLITE, str(sqlite_file("create table t(a)")), read_only=False) as connection:
        connection.run("pragma max_page_count = 3")
        connection.run(SQLITE.capabilities.begin_write)
        batch = pa.record_batch({"a": ["x" * 1000] * 100})
        with pytest.raises(ArrowsyncError, match="full") as caught:
            connection.ingest("t", pa.RecordBatchReader.from_batches(batch.schema, [batch]), {})
        assert type(caught.value) is ArrowsyncError
        with suppress(ArrowsyncError):
            connection.run("rollback")


def test_a_malformed_file_stops(sqlite_file: Make) -> None:
    path = sqlite_file(TABLES["dense"])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with connect(SQLITE, str(path), read_only=True) as connection:
        with pytest.raises(ArrowsyncError, match="recover") as caught:
            connection.rows("select sum(id) from t")
        assert type(caught.value) is ArrowsyncError


def test_an_encrypted_file_is_no_database(sqlite_file: Make) -> None:
    path = sqlite_file("create table t(a)")
    content = path.read_bytes()
    path.write_bytes(content[:16] + b"\xaa" * (len(content) - 16))
    with (
        pytest.raises(ConfigError, match="not a database"),
        connect(SQLITE, str(path), read_only=True) as connection,
    ):
        SQLITE.names(connection)
