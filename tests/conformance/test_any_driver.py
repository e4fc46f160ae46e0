"""What `Dialect()` does with a driver that arrowsync does not know; cells are read by the database's client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import arrowsync
from arrowsync import Capabilities, ConfigError, Database, Dialect, SchemaError, TransferError
from tests.conformance.stranger import StrangerPlace, driver

Rows = Callable[[Path, str], list[tuple[Any, ...]]]

TABLE = """
create table "My ""orders" (id bigint primary key, total decimal(10,2), note varchar not null, placed date,
    paid boolean, weight double, moment timestamptz, numbers integer[], gone interval);
insert into "My ""orders" values
    (1, 12.50, 'first', '2024-02-29', true, 0.1, '2024-02-29 12:00:00+00', [1, null], '1 month 2 days'),
    (2, null, '', null, null, null, null, null, null),
    (3, -0.05, 'ünï ''q'' 🎉', '1999-12-31', false, 1e300, '1999-12-31 00:00:00+00', [], '3 hours')
"""


@pytest.fixture
def stranger(tmp_path: Path) -> StrangerPlace:
    return StrangerPlace(tmp_path / "stranger.duckdb")


def test_every_cell_of_a_stranger_arrives(stranger: StrangerPlace, tmp_path: Path, sqlite_rows: Rows) -> None:
    stranger.run(TABLE)
    report = arrowsync.copy(stranger.uri, tmp_path / "t.db", verify="hash")
    assert (report.status, report.rows_written, report.verified) == ("complete", 3, "hash")
    cells = sqlite_rows(tmp_path / "t.db", 'select id, total * 100, note, placed, weight from "My ""orders"')
    assert cells == [
        (1, 1250, "first", "2024-02-29", 0.1),
        (2, None, "", None, None),
        (3, -5, "ünï 'q' 🎉", "1999-12-31", 1e300),
    ]


def test_keys_and_not_null_of_a_stranger_come_with_the_table(stranger: StrangerPlace, tmp_path: Path) -> None:
    stranger.run(TABLE)
    arrowsync.copy(stranger.uri, tmp_path / "t.db")
    [table] = arrowsync.inspect(tmp_path / "t.db")
    assert table.primary_key is not None
    assert table.primary_key.columns == ("id",)
    assert [column.name for column in table.columns if not column.nullable] == ["id", "note"]


def test_a_query_a_view_and_a_condition_are_read(
    stranger: StrangerPlace, tmp_path: Path, sqlite_rows: Rows
) -> None:
    stranger.run("create table t (a bigint); insert into t values (1), (2), (3); create view v as from t")
    target = tmp_path / "t.db"
    arrowsync.copy(stranger.uri, target, query="select a * 10 as b from t -- rows", target_table="q")
    arrowsync.copy(stranger.uri, target, table="main.v", where="a > 1")
    assert sqlite_rows(target, "select b from q order by b") == [(10,), (20,), (30,)]
    assert sqlite_rows(target, "select a from v order by a") == [(2,), (3,)]


def test_the_default_schema_of_a_source_is_no_part_of_its_tables_names(
    stranger: StrangerPlace, new_database: Callable[..., Any]
) -> None:
    stranger.run("create table t (a bigint); insert into t values (7)")
    target = new_database()
    arrowsync.copy(stranger.uri, target.uri, table="t")
    assert target.execute("select a from public.t") == [(7,)]


def test_a_schema_that_is_not_the_default_stays(
    stranger: StrangerPlace, new_database: Callable[..., Any]
) -> None:
    stranger.run("create schema s; create table s.t (a bigint)")
    with pytest.raises(ConfigError, match="no schema 's'"):
        arrowsync.copy(stranger.uri, new_database().uri, table="t")


def test_a_quote_that_names_do_not_take_is_refused_with_the_one_that_they_take(
    stranger: StrangerPlace,
) -> None:
    stranger.run("create table t (a bigint)")
    dialect = Dialect(capabilities=Capabilities(quote="'"))
    with pytest.raises(ConfigError, match="does not take ' around names") as caught:
        arrowsync.inspect(Database(stranger.uri.uri, driver=driver(), dialect=dialect))
    assert "quote='\"'" in str(caught.value.hint)


# -- as a target ---------------------------------------------------------------------------------------------


def test_a_new_table_of_a_stranger_is_made_of_the_rows_types(stranger: StrangerPlace) -> None:
    rows = pa.table({"id": [1, 2], "note": ["a", None], "n": pa.array([[1], []], pa.list_(pa.int32()))})
    report = arrowsync.copy(rows, stranger.uri, table="t", verify="hash")
    assert (report.status, report.verified) == ("complete", "hash")
    assert stranger.rows("select * from t order by id") == [(1, "a", [1]), (2, None, [])]


def test_no_rows_make_a_table_too(stranger: StrangerPlace) -> None:
    arrowsync.copy(pa.schema({"a": pa.int32()}).empty_table(), stranger.uri, table="t")
    assert stranger.rows("select count(*) from t") == [(0,)]


def test_the_default_schema_of_postgresql_is_no_part_of_the_name_at_a_stranger(
    stranger: StrangerPlace, new_database: Callable[..., Any]
) -> None:
    source = new_database()
    source.execute("create table t (a bigint primary key, b numeric(5,2)); insert into t values (1, 2.50)")
    report = arrowsync.copy(source.uri, stranger.uri)
    assert "primary key and not null are not carried over" in " ".join(report.warnings)
    assert stranger.rows("select a, b::varchar from main.t") == [(1, "2.50")]


def test_rows_are_added_in_the_order_of_the_target_whatever_the_sources_is(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a bigint, b bigint); insert into t values (1, 10)")
    arrowsync.copy(pa.table({"b": [20], "a": [2]}), stranger.uri, table="t", mode="append")
    assert stranger.rows("select a, b from t order by a") == [(1, 10), (2, 20)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "append", "columns": ["a"]}, "no column 'b'.*every column of the target needs values"),
        ({"mode": "replace"}, "mode replace is not possible here"),
        ({"target_table": "new", "on_bad_rows": "quarantine"}, "cannot tell a refused row"),
        ({"target_table": "new", "schema_only": True}, "by its rows alone"),
        ({"target_table": "no_such.new"}, "no schema 'no_such'"),
        ({"target_table": "new", "journal": "mine"}, "no receipts can be kept"),
    ],
)
def test_what_a_stranger_cannot_do_is_refused_in_planning(
    arguments: dict[str, Any], message: str, stranger: StrangerPlace
) -> None:
    stranger.run("create table t (a bigint, b bigint); insert into t values (1, 10)")
    with pytest.raises((ConfigError, SchemaError), match=message):
        arrowsync.plan(pa.table({"a": [2], "b": [3]}), stranger.uri, table="t", **arguments)


def test_a_refused_row_ends_the_copy_and_nothing_is_written(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a bigint primary key)")
    with pytest.raises(TransferError, match=r'duplicate key "7".*Nothing of the table was written') as caught:
        arrowsync.copy(pa.table({"a": [1, 7, 7]}), stranger.uri, table="t", mode="append")
    assert caught.value.report.status == "failed"
    assert stranger.rows("select count(*) from t") == [(0,)]


def test_a_value_that_the_target_column_cannot_hold_ends_the_copy(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a smallint)")
    with pytest.raises(TransferError, match="Nothing of the table was written"):
        arrowsync.copy(pa.table({"a": [1, 70_000]}), stranger.uri, table="t", mode="append")
    assert stranger.rows("select count(*) from t") == [(0,)]


def test_a_source_that_fails_is_not_taken_for_one_that_has_ended(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a bigint)")

    def batches() -> Any:
        yield pa.record_batch({"a": [1]})
        raise RuntimeError("the source is gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())
    with pytest.raises(TransferError, match="the source is gone"):
        arrowsync.copy(reader, stranger.uri, table="t", mode="append")
    assert stranger.rows("select count(*) from t") == [(0,)]


def test_the_plan_says_what_becomes_of_refused_rows(stranger: StrangerPlace, tmp_path: Path) -> None:
    rows = pa.table({"a": [1]})
    here = arrowsync.plan(rows, stranger.uri, table="t")
    there = arrowsync.plan(rows, tmp_path / "t.db", table="t")
    assert (here.to_dict()["on_bad_rows"], there.to_dict()["on_bad_rows"]) == ("stop", "quarantine")
    assert "refused rows  end the copy" in str(here)
    assert "refused rows" not in str(there)


def test_a_table_is_read_and_written_in_one_file_of_a_stranger(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a bigint); insert into t from range(100000)")
    with pytest.raises(ConfigError, match="the same table"):
        arrowsync.copy(stranger.uri, stranger.uri, table="t")
    report = arrowsync.copy(stranger.uri, stranger.uri, table="t", target_table="u", verify="hash")
    assert report.verified == "hash"
    assert stranger.rows("select count(*), sum(a) from u") == stranger.rows("select count(*), sum(a) from t")


@pytest.mark.parametrize("type", ["timestamp_s", "timestamp_ms"])
def test_times_finer_than_the_strangers_column_are_refused(stranger: StrangerPlace, type: str) -> None:
    stranger.run(f"create table t (a {type})")
    fine = pa.table({"a": pa.array([1_577_836_800_123_456], pa.timestamp("us"))})
    with pytest.raises(TransferError, match="would lose data"):
        arrowsync.copy(fine, stranger.uri, table="t", mode="append")
    whole = pa.table({"a": pa.array([1_577_836_800_000_000], pa.timestamp("us"))})
    assert arrowsync.copy(whole, stranger.uri, table="t", mode="append", verify="hash").verified == "hash"
    assert stranger.rows("select a::varchar from t") == [("2020-01-01 00:00:00",)]


def test_lists_of_times_finer_than_the_strangers_column_are_refused(stranger: StrangerPlace) -> None:
    stranger.run("create table t (a timestamp_s[])")
    rows = pa.table({"a": pa.array([[1_577_836_800_123_456]], pa.list_(pa.timestamp("us")))})
    with pytest.raises(SchemaError, match="does not fit"):
        arrowsync.copy(rows, stranger.uri, table="t", mode="append")
