"""Rows that a target refused go in when they are repaired, whichever tool wrote their file anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Report, SchemaError
from arrowsync.dialects.sqlite.read_types import stored
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

COLUMNS = "id bigint primary key, age int {check}, qty bigint, n numeric(10,2), u uuid, items int[], span interval, j jsonb"
ROWS = """insert into t values
    (1, 1, 1, 1.5, gen_random_uuid(), '{}', '1 s', '1'),
    (2, -2, 7, 12.50, '00000000-0000-0000-0000-000000000002', '{1,null}', '1 mon 2 days', '{"a": 1}'),
    (3, -3, null, null, null, null, null, null)"""


def by_polars(path: Path) -> None:
    pl.read_parquet(path).with_columns(pl.col("age").abs()).write_parquet(path)


def by_pandas(path: Path) -> None:
    frame = pd.read_parquet(path)
    frame["age"] = frame["age"].abs()
    frame.to_parquet(path)


def by_pandas_in_another_order(path: Path) -> None:
    """Then pandas stores an index that nobody has asked for."""
    frame = pd.read_parquet(path).iloc[::-1]
    frame["age"] = frame["age"].abs()
    frame.to_parquet(path)


def by_a_tool_that_knows_no_metadata(path: Path) -> None:
    """As DuckDB does."""
    table = pq.read_table(path)
    storages = [
        column.cast(column.type.storage_type) if isinstance(column.type, pa.OpaqueType) else column
        for column in table.columns
    ]
    bare = pa.table(storages, names=table.schema.names)
    place = bare.schema.get_field_index("age")
    pq.write_table(bare.set_column(place, "age", pc.abs(bare["age"])), path)


TOOLS = [by_polars, by_pandas, by_pandas_in_another_order, by_a_tool_that_knows_no_metadata]


@pytest.fixture
def source(new_database: Callable[..., Database]) -> Database:
    database = new_database()
    database.execute(f"create table t ({COLUMNS.format(check='')}); {ROWS}")
    return database


@pytest.fixture
def target(new_database: Callable[..., Database]) -> Database:
    database = new_database()
    database.execute(f"create table t ({COLUMNS.format(check='check (age > 0)')})")
    return database


def append(source: object, target: object, **arguments: Any) -> Report:
    return arrowsync.copy(source, target, table="t", mode="append", progress=False, **arguments)


def refused(source: Database, target: object, folder: Path) -> list[Path]:
    """The files of what the target has refused."""
    assert append(source.uri, target, quarantine=str(folder)).rows_quarantined == 2
    return sorted(folder.rglob("*.parquet"))


@newest_server
@pytest.mark.parametrize("repair", TOOLS)
def test_repaired_rows_go_in_whichever_tool_wrote_their_file(
    source: Database, target: Database, tmp_path: Path, repair: Callable[[Path], None]
) -> None:
    (path,) = refused(source, target.uri, tmp_path)
    repair(path)
    report = append(str(path.parent), target.uri, verify="hash")
    assert (report.status, report.rows_written) == ("complete", 2)
    source.execute("update t set age = abs(age)")
    query = "select t::text from t order by id"
    assert target.execute(query) == source.execute(query)


@newest_server
@pytest.mark.parametrize("repair", TOOLS)
def test_repaired_rows_go_into_sqlite_too(
    source: Database,
    tmp_path: Path,
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[..., Any],
    repair: Callable[[Path], None],
) -> None:
    columns = COLUMNS.format(check="check (age > 0)").replace("int[]", "integer[]")
    for type in ("integer[]", "interval", "uuid", "jsonb"):
        columns = columns.replace(f" {type}", f' "{stored(type).declared}"')
    target = sqlite_file(f"create table t (/* arrowsync */ {columns})")
    (path,) = refused(source, target, tmp_path / "bad")
    repair(path)
    assert append(str(path.parent), target).rows_written == 2
    assert sqlite_rows(target, "select * from t where id > 1 order by id") == [
        (2, 2, 7, 12.5, "00000000-0000-0000-0000-000000000002", "{1,NULL}", "P1M2D", '{"a": 1}'),
        (3, 3, None, None, None, None, None, None),
    ]


@newest_server
@pytest.mark.parametrize(
    "read", [pl.read_parquet, pd.read_parquet, pq.read_table], ids=["polars", "pandas", "pyarrow"]
)
def test_repaired_rows_may_come_as_a_frame(
    source: Database, target: Database, tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    (path,) = refused(source, target.uri, tmp_path)
    by_polars(path)
    assert append(read(path), target.uri).rows_written == 2
    assert target.execute("select id, age from t order by id") == [(1, 1), (2, 2), (3, 3)]


@newest_server
def test_files_that_pandas_wrote_one_by_one_are_still_one_table(
    source: Database, target: Database, tmp_path: Path
) -> None:
    (path,) = refused(source, target.uri, tmp_path)
    rows = pd.read_parquet(path, dtype_backend="pyarrow")
    rows["age"] = rows["age"].abs()
    for id in (2, 3):  # one of integers and decimals, one of NULL alone
        rows[rows["id"] == id].to_parquet(path.with_name(f"{id}.parquet"))
    longer = rows.assign(id=rows["id"] + 10, qty=[1.0, None], n=rows["n"] * 1000).astype({"qty": "float64"})
    longer.to_parquet(path)
    assert append(str(path.parent), target.uri).rows_written == 4
    assert target.execute("select id, qty, n from t where id > 1 order by id") == [
        *((2, 7, 12.5), (3, None, None), (12, 1, 12500), (13, None, None))
    ]


@newest_server
def test_a_repair_is_never_rounded_into_its_column(
    source: Database, target: Database, tmp_path: Path
) -> None:
    (path,) = refused(source, target.uri, tmp_path)
    by_polars(path)
    pl.read_parquet(path).with_columns(qty=pl.lit(2.5)).write_parquet(path)
    report = append(str(path.parent), target.uri, quarantine=str(tmp_path / "again"))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 0, 2)
    assert target.execute("select id from t") == [(1,)]


@newest_server
def test_a_repaired_column_that_the_target_lacks_is_named(
    source: Database, target: Database, tmp_path: Path
) -> None:
    (path,) = refused(source, target.uri, tmp_path)
    pl.read_parquet(path).rename({"qty": "quantity"}).write_parquet(path)
    with pytest.raises(SchemaError, match=r"no such column.*quantity"):
        append(str(path.parent), target.uri)
