"""Refused rows of tables that have as many columns, or rows as long, as the database takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

MOST = 1_600  # columns of a PostgreSQL table
FULL = 1_017  # bigints fill a row of a page; one more does not fit


def wide(columns: int, *, full: tuple[int, ...] = ()) -> pa.Table:
    """Five rows by their `id`, the others NULL, or 7 in the rows that are `full`."""
    ids = range(1, 6)
    values = pa.array([7 if row in full else None for row in ids], pa.int64())
    return pa.table(
        {"id": pa.array(ids, pa.int64()), **{f"c{number}": values for number in range(1, columns)}}
    )


def columns(count: int, kind: str = "bigint") -> str:
    return ", ".join(["id bigint", *(f"c{number} {kind}" for number in range(1, count))])


def append(source: object, target: str, **told: Any) -> arrowsync.Report:
    return arrowsync.copy(source, target, table="t", mode="append", progress=False, **told)


def quarantined(report: arrowsync.Report) -> list[dict[str, Any]]:
    [folder] = report.quarantine
    return [row for path in Path(folder).glob("*.parquet") for row in pq.read_table(path).to_pylist()]


@newest_server
@pytest.mark.parametrize(
    "refuses",
    ["add check (id <> 3)", "add unique (id) deferrable initially deferred; insert into t (id) values (3)"],
)
def test_a_refused_row_of_1600_columns_is_kept_and_the_others_are_in(
    postgresql: Database, tmp_path: Path, refuses: str
) -> None:
    postgresql.execute(f"create table t ({columns(MOST)}); alter table t {refuses}")
    report = append(wide(MOST), postgresql.uri, quarantine=str(tmp_path))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 4, 1)
    assert postgresql.execute("select count(distinct id) from t where id <> 3") == [(4,)]
    [row] = quarantined(report)
    assert row["id"] == 3
    assert len(row) == MOST + 4  # and the four that say why


@newest_server
def test_rows_that_no_page_holds_are_kept_and_the_others_are_in(postgresql: Database, tmp_path: Path) -> None:
    postgresql.execute(f"create table t ({columns(MOST)})")
    report = append(wide(MOST, full=(1, 4)), postgresql.uri, quarantine=str(tmp_path))
    assert sorted(postgresql.execute("select id from t")) == [(2,), (3,), (5,)]
    kept = quarantined(report)
    assert [row["id"] for row in kept] == [1, 4]
    assert {row["c1"] for row in kept} == {7}
    assert all("row is too big" in row["_arrowsync_error"] for row in kept)


@newest_server
def test_a_row_that_just_fills_a_page_goes_in_beside_a_refused_one(
    postgresql: Database, tmp_path: Path
) -> None:
    """It would not fit with the ordinal that the rows of a batch get to be told apart."""
    postgresql.execute(f"create table t ({columns(FULL)}, check (id <> 3))")
    report = append(wide(FULL, full=(1, 2, 3, 4, 5)), postgresql.uri, quarantine=str(tmp_path))
    assert sorted(postgresql.execute("select id from t")) == [(1,), (2,), (4,), (5,)]
    assert [row["id"] for row in quarantined(report)] == [3]


@newest_server
def test_a_refused_row_is_kept_where_its_values_cannot_all_be_read_twice(
    new_database: Callable[..., Database], tmp_path: Path
) -> None:
    """Numbers travel as bytes and are kept as text: 900 of them twice are more than a query delivers."""
    source, target = new_database(), new_database()
    source.execute(
        f"create table t ({columns(900, 'numeric')}); insert into t values (1, 0.5), (2, 1e30), (3, 1.50)"
    )
    target.execute(f"create table t ({columns(900, 'numeric')}, check (id <> 3))")
    report = append(source.uri, target.uri, quarantine=str(tmp_path))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 2, 1)
    rows = "select id, c1::text, c899 from t order by id"
    assert target.execute(rows) == source.execute(rows)[:2]
    [row] = quarantined(report)
    assert (row["id"], row["c1"], row["c899"]) == (3, "1.50", None)


def test_a_refused_row_of_a_sqlite_table_of_2000_columns_is_kept(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    tmp_path: Path,
) -> None:
    target = sqlite_file(f"create table t ({columns(2_000)}, check (id <> 3))", "target.db")
    report = append(wide(2_000), str(target), quarantine=str(tmp_path / "bad"))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 4, 1)
    assert sqlite_rows(target, "select id from t order by 1") == [(1,), (2,), (4,), (5,)]
    assert [row["id"] for row in quarantined(report)] == [3]
