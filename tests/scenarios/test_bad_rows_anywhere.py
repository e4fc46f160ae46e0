"""Bad rows between any two databases: what both can refuse, and a process killed before their commit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, Report, TransferError
from arrowsync.errors import DataError, VerificationError
from tests.conformance.conftest import Pair, pair
from tests.conformance.places import SQLitePlace
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

__all__ = ["pair"]  # the fixture

ROWS = 1_000
NUMBERS = f"with recursive i(i) as (select 1 union all select i + 1 from i where i < {ROWS})"
GOOD = (
    "create table t (id bigint, n double precision, note text); "
    f"insert into t {NUMBERS} select i, i, 'x' || i from i"
)
KINDS = {
    "unique within the batch": (
        "create table t (id bigint primary key, n double precision, note text)",
        "(1, 1, 'bad')",
        "23505",
    ),
    "unique in the target": (
        "create table t (id bigint, n double precision, note text, unique (note, n)); "
        "insert into t values (0, 7, 'bad')",
        "(-1, 7, 'bad')",
        "23505",
    ),
    "unique by an expression": (
        "create table t (id bigint, n double precision, note text); create unique index u on t (lower(note))",
        "(-1, 1, 'X5')",
        "23505",
    ),
    "not null": (
        "create table t (id bigint, n double precision not null, note text)",
        "(-1, null, 'bad')",
        "23502",
    ),
    "check": (
        "create table t (id bigint, n double precision, note text, check (id > 0 or n = 5))",
        "(-1, 1, 'bad')",
        "23514",
    ),
}


@pytest.fixture
def sqlite_pair(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]],
    tmp_path: Path,
) -> Pair:
    source, target = (SQLitePlace(tmp_path / f"{name}.db", sqlite_file, sqlite_rows) for name in ("a", "b"))
    return Pair(source, target)


def copy(pair: Pair, folder: Path, **arguments: Any) -> Report:
    given = {"table": "t", "mode": "append", "quarantine": str(folder), "progress": False}
    return arrowsync.copy(pair.source.uri, pair.target.uri, **{**given, **arguments})


def refused(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*/*/*.parquet")) for row in pq.read_table(path).to_pylist()]


@newest_server
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_row_of_any_kind_is_put_aside_and_all_others_arrive(
    pair: Pair, kind: str, tmp_path: Path
) -> None:
    table, bad_row, state = KINDS[kind]
    pair.source.run(f"{GOOD}; insert into t values {bad_row}")
    pair.target.run(table)
    report = copy(pair, tmp_path / "bad", limits=Limits(batch_rows=300))
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", ROWS, 1)
    assert pair.target.rows("select count(*), sum(id) from t where id > 0") == [
        (ROWS, ROWS * (ROWS + 1) // 2)
    ]
    (row,) = refused(tmp_path / "bad")
    assert list(row)[:3] == ["id", "n", "note"]
    assert row["_arrowsync_sqlstate"] == state
    assert row["_arrowsync_error"]


def test_a_triggers_raise_in_sqlite_refuses_the_row(sqlite_pair: Pair, tmp_path: Path) -> None:
    sqlite_pair.source.run(GOOD)
    sqlite_pair.target.run(
        "create table t (id bigint, n double precision, note text); create trigger refuse before insert on t "
        "when new.id % 100 = 5 begin select raise(abort, 'five is closed'); end"
    )
    assert copy(sqlite_pair, tmp_path / "bad").rows_quarantined == 10
    assert {row["_arrowsync_error"] for row in refused(tmp_path / "bad")} == {"five is closed"}
    assert sqlite_pair.target.rows("select count(*) from t") == [(ROWS - 10,)]


def test_a_trigger_that_drops_rows_in_sqlite_is_named(sqlite_pair: Pair, tmp_path: Path) -> None:
    sqlite_pair.source.run(GOOD)
    sqlite_pair.target.run(
        "create table t (id bigint, n double precision, note text); "
        "create trigger drops_five before insert on t when new.id = 5 begin select raise(ignore); end"
    )
    with pytest.raises(TransferError, match="drops_five") as failure:
        copy(sqlite_pair, tmp_path / "bad")
    assert isinstance(failure.value.__cause__, VerificationError)
    assert sqlite_pair.target.rows("select count(*) from t") == [(0,)]


@newest_server
def test_text_with_a_nul_is_put_aside(
    sqlite_file: Callable[..., Path], postgresql: Database, tmp_path: Path
) -> None:
    source = sqlite_file(
        "create table t (id integer primary key, a text, b text); "
        f"insert into t {NUMBERS} select i, 'x', 'y' from i; "
        "update t set a = 'x' || char(0) || 'y' where id % 100 = 3; update t set b = char(0) where id = 5"
    )
    arguments: dict[str, Any] = {"table": "t", "quarantine": str(tmp_path / "bad"), "progress": False}
    with pytest.raises(TransferError) as failure:
        arrowsync.copy(str(source), postgresql.uri, nul="error", **arguments)
    assert isinstance(failure.value.__cause__, DataError)
    assert (failure.value.__cause__.column, failure.value.__cause__.row) == ("a", "id=3")
    report = arrowsync.copy(str(source), postgresql.uri, verify="hash", **arguments)
    assert (report.status, report.rows_quarantined, report.verified) == ("partial", 11, "hash")
    rows = {row["id"]: row for row in refused(tmp_path / "bad")}
    assert sorted(rows) == [3, 5, *range(103, ROWS, 100)]
    assert (rows[3]["a"], rows[5]["b"]) == ("x\0y", "\0")
    assert postgresql.execute("select count(*) from t") == [(ROWS - 11,)]


@newest_server
def test_a_value_that_the_cast_does_not_take_is_put_aside(
    sqlite_file: Callable[..., Path], postgresql: Database, tmp_path: Path
) -> None:
    source = sqlite_file(f"{GOOD}; insert into t values (3000000000, 1, 'bad')")
    report = arrowsync.copy(
        str(source),
        postgresql.uri,
        table="t",
        cast={"id": "integer"},
        verify="hash",
        quarantine=str(tmp_path / "bad"),
        progress=False,
    )
    assert (report.rows_written, report.rows_quarantined, report.verified) == (ROWS, 1, "hash")
    (row,) = refused(tmp_path / "bad")
    assert row["id"] == 3_000_000_000


KILLED = """
import os, sys
from arrowsync.endpoints.writer import DatabaseWriter
import arrowsync

def die(writer, receipt):
    os._exit(9)

DatabaseWriter.commit = die
source, target, folder = sys.argv[1:]
arrowsync.copy(source, target, table="t", mode="append", quarantine=folder, progress=False)
"""


@newest_server
def test_a_kill_between_file_and_commit_leaves_nothing_twice(pair: Pair, tmp_path: Path) -> None:
    pair.source.run(f"{GOOD}; insert into t values (-1, null, 'bad')")
    pair.target.run("create table t (id bigint, n double precision not null, note text)")
    folder = tmp_path / "bad"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, pair.source.uri, pair.target.uri, str(folder)],
        env=os.environ,
        timeout=60,
    )
    assert done.returncode == 9
    assert [row["id"] for row in refused(folder)] == [-1]
    assert pair.target.rows("select count(*) from t") == [(0,)]
    report = copy(pair, folder)
    assert (report.rows_written, report.rows_quarantined) == (ROWS, 1)
    assert [row["id"] for row in refused(folder)] == [-1]
    assert pair.target.rows("select count(*) from t") == [(ROWS,)]
