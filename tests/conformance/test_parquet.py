"""Parquet files between databases: what they keep of PostgreSQL's and SQLite's types, rows and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, Report
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

PARTS = Limits(partition_bytes="64 KiB")
STAMPS = """
create table stamps (
    id int primary key, day date, at timestamptz(3), clock time, price numeric(9,2), note text);
insert into stamps
    select i, date '2024-01-01' + i % 300, '2024-01-01 12:00:00.5+00', '12:30', i / 8.0, repeat('x', 50)
    from generate_series(1, 8000) i;
"""
BEYOND = (
    "update stamps set day = 'infinity', at = '-infinity', clock = '24:00', price = 'NaN' where id = 5000; "
    "update stamps set day = '0044-03-15 BC', at = '0044-03-15 01:00:00+00 BC' where id = 5001"
)
CELLS = "select id, day::text, at::text, clock::text, price::text, note from stamps order by id"


def copy(source: object, target: object, **told: Any) -> Report:
    return arrowsync.copy(source, target, progress=False, **told)


@pytest.fixture
def stamps(postgresql: Database) -> Database:
    postgresql.execute(f"set timezone = 'UTC'; {STAMPS}")
    postgresql.execute("analyze stamps")
    return postgresql


def test_a_table_goes_to_a_folder_and_home(
    stamps: Database, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    there = copy(stamps.uri, f"{tmp_path}/stamps/", table="stamps", limits=PARTS, verify="hash")
    assert there.partitions > 3
    assert len(list((tmp_path / "stamps").iterdir())) == there.partitions
    schema = pq.read_schema(next((tmp_path / "stamps").iterdir()))
    types = [str(field.type) for field in schema]
    assert types == [
        "int32",
        "date32[day]",
        "timestamp[us, tz=UTC]",
        "time64[us]",
        "decimal128(9, 2)",
        "string",
    ]
    home = new_database()
    back = copy(tmp_path / "stamps", home.uri, limits=PARTS, verify="hash")
    assert (back.verified, back.fingerprint) == ("hash", there.fingerprint)
    assert home.execute(CELLS) == stamps.execute(CELLS)
    [table] = arrowsync.inspect(home.uri, table="stamps")
    assert [column.type for column in table.columns[:5]] == [
        "integer",
        "date",
        "timestamp(3) with time zone",
        "time without time zone",
        "numeric(9,2)",
    ]
    assert table.primary_key is not None
    assert table.primary_key.columns == ("id",)


@newest_server
def test_values_beyond_a_type_are_text_in_their_part_and_the_report_says_so(
    stamps: Database, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    stamps.execute(BEYOND)
    there = copy(stamps.uri, f"{tmp_path}/stamps/", table="stamps", limits=PARTS, verify="hash")
    assert there.verified == "hash"
    texts = [
        path
        for path in (tmp_path / "stamps").iterdir()
        if str(pq.read_schema(path).field("day").type) == "string"
    ]
    assert len(texts) == 1
    told = [re.search(r"column '(\w+)' is text", warning) for warning in there.warnings]
    assert [found[1] for found in told if found] == ["day", "at", "clock", "price"]
    home = new_database()
    assert copy(tmp_path / "stamps", home.uri, verify="hash").verified == "hash"
    assert home.execute(CELLS) == stamps.execute(CELLS)


@newest_server
def test_a_folder_with_text_in_some_part_goes_on_to_another_file(
    stamps: Database, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    stamps.execute(BEYOND)
    copy(stamps.uri, f"{tmp_path}/stamps/", table="stamps", limits=PARTS)
    assert copy(tmp_path / "stamps", tmp_path / "one.parquet", verify="hash").verified == "hash"
    home = new_database()
    copy(tmp_path / "one.parquet", home.uri, target_table="stamps", verify="hash")
    assert home.execute(CELLS) == stamps.execute(CELLS)


@newest_server
def test_sqlite_keeps_what_came_from_a_file(
    stamps: Database, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    stamps.execute(BEYOND)
    copy(stamps.uri, tmp_path / "stamps.parquet", table="stamps")
    copy(tmp_path / "stamps.parquet", tmp_path / "stamps.db", verify="hash")
    copy(tmp_path / "stamps.db", tmp_path / "again.parquet", table="stamps", verify="hash")
    home = new_database()
    copy(tmp_path / "again.parquet", home.uri, table="stamps", verify="hash")
    assert home.execute(CELLS) == stamps.execute(CELLS)


@newest_server
def test_money_goes_from_a_file_to_sqlite_and_home(
    new_database: Callable[..., Database], tmp_path: Path
) -> None:
    source, home = new_database(), new_database()
    source.execute(
        "create table t (k int primary key, v money); insert into t values (1, '0.05'), (2, '-1234567.89'), "
        "(3, null), (4, '-92233720368547758.08'), (5, '92233720368547758.07')"
    )
    arrowsync.copy(source.uri, tmp_path / "t.parquet", table="t")
    arrowsync.copy(tmp_path / "t.parquet", tmp_path / "t.db", table="t")
    arrowsync.copy(tmp_path / "t.db", home.uri, table="t")
    query = "select k, v::text from t order by k"
    assert home.execute(query) == source.execute(query)
    report = arrowsync.copy(tmp_path / "t.parquet", home.uri, table="t", mode="replace", verify="hash")
    assert report.verified == "hash"
    assert home.execute(query) == source.execute(query)


def test_a_nested_column_is_an_array_or_json_in_postgresql(postgresql: Database, tmp_path: Path) -> None:
    frame = pl.DataFrame({"tags": [[1, 2], None], "item": [{"a": 1, "b": ["x"]}, {"a": None, "b": []}]})
    frame.write_parquet(tmp_path / "t.parquet")
    plan = arrowsync.plan(tmp_path / "t.parquet", postgresql.uri)
    assert [(str(c.route.fidelity), c.target.type) for c in plan.tables[0].columns] == [
        ("exact", "bigint[]"),
        ("widened", "json"),
    ]
    plan.run(progress=False)
    assert postgresql.execute("select tags, item from t") == [
        ([1, 2], {"a": 1, "b": ["x"]}),
        (None, {"a": None, "b": []}),
    ]


@newest_server
def test_nanoseconds_that_postgresql_lacks_are_refused_and_a_cast_keeps_them(
    postgresql: Database, tmp_path: Path
) -> None:
    pl.DataFrame({"at": pl.Series([1, 1_000]).cast(pl.Datetime("ns"))}).write_parquet(tmp_path / "t.parquet")
    report = copy(tmp_path / "t.parquet", postgresql.uri, quarantine=str(tmp_path / "bad"))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 1, 1)
    copy(tmp_path / "t.parquet", postgresql.uri, target_table="u", cast={"at": "text"})
    texts = [row[0] for row in postgresql.execute("select at from u order by at")]
    assert texts == ["1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000001"]


@newest_server
def test_table_alone_names_the_target_of_a_file(postgresql: Database, tmp_path: Path) -> None:
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "t.parquet")
    copy(tmp_path / "t.parquet", postgresql.uri, table='"My.Table"')
    assert postgresql.execute('select x from "My.Table"') == [(1,)]


@newest_server
def test_refused_rows_are_replayed_from_their_folder_after_repair(
    postgresql: Database, new_database: Callable[..., Database], tmp_path: Path
) -> None:
    columns = "id int primary key, total numeric(9,2), placed date, key uuid"
    postgresql.execute(f"create table orders ({columns})")
    postgresql.execute(
        "insert into orders select i, i - 2, 'infinity', '79797979-7979-7979-7979-797979797979' "
        "from generate_series(1, 9) i"
    )
    target = new_database()
    target.execute(f"create table orders ({columns}, check (total >= 0))")
    first = copy(postgresql.uri, target.uri, table="orders", mode="append", quarantine=str(tmp_path))
    assert (first.status, first.rows_quarantined) == ("partial", 1)
    [folder] = first.quarantine
    [bad] = Path(folder).rglob("*.parquet")
    assert pl.read_parquet(bad)["_arrowsync_sqlstate"].to_list() == ["23514"]
    target.execute("alter table orders drop constraint orders_total_check")
    again = copy(bad.parent, target.uri, table="orders", mode="append", verify="hash")
    assert (again.status, again.rows_written) == ("complete", 1)
    cells = "select id, total, placed::text, key::text from orders order by id"
    assert target.execute(cells) == postgresql.execute(cells)


@newest_server
def test_polars_and_postgresql_agree_on_what_was_written(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute("create table t (a int, b numeric(5,2), c timestamptz, d bytea, e uuid, f bool)")
    postgresql.execute(
        "insert into t values "
        "(1, 1.50, '2024-02-29 12:00+00', '\\x00ff', '79797979-7979-7979-7979-797979797979', true)"
    )
    copy(postgresql.uri, tmp_path / "t.parquet", table="t")
    [row] = pl.read_parquet(tmp_path / "t.parquet").rows()
    assert row[:2] == (1, Decimal("1.50"))
    assert row[2].isoformat() == "2024-02-29T12:00:00+00:00"
    assert row[3:] == (b"\x00\xff", b"y" * 16, True)
