"""What `Dialect()` does with a driver that arrowsync does not know; cells are read by the database's client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import Capabilities, ConfigError, Database, Dialect
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
