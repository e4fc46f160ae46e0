"""What a replace takes away is told; for no row at all it takes nothing away, unless that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import ConfigError, Report, TransferError
from arrowsync.dialects.sqlite import catalog
from arrowsync.engine import replacing
from tests import command_line
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

ROWS = 1_000
NUMBERS = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) select i from n"
Count = Callable[[], int]


@pytest.fixture
def source(sqlite_file: Callable[..., Path]) -> str:
    return str(sqlite_file(f"create table t (id bigint); insert into t {NUMBERS}"))


@pytest.fixture(params=["postgresql", "sqlite", "file", "folder"])
def target(
    request: pytest.FixtureRequest, postgresql: Database, tmp_path: Path, sqlite_rows: Callable[..., Any]
) -> tuple[str, Count]:
    """A place that holds t, and how many rows another client counts there."""
    place = {"sqlite": "target.db", "file": "t.parquet", "folder": "t/"}.get(request.param)
    if place is None:
        return postgresql.uri, lambda: int(postgresql.execute("select count(*) from t")[0][0])
    path = f"{tmp_path}/{place}"
    if place == "target.db":
        return path, lambda: int(sqlite_rows(Path(path), "select count(*) from t")[0][0])
    return path, lambda: int(pq.read_table(path).num_rows)


def copy(source: object, target: str, **arguments: Any) -> Report:
    return arrowsync.copy(source, target, **{"table": "t", "progress": False, **arguments})


def refused(source: object, target: str, **arguments: Any) -> Report:
    with pytest.raises(TransferError, match="no row has come to replace") as failure:
        copy(source, target, mode="replace", **arguments)
    assert isinstance(failure.value.__cause__, ConfigError)
    assert "--allow-empty" in str(failure.value)
    return failure.value.report


def emptied(sqlite_file: Callable[..., Path]) -> None:
    sqlite_file("delete from t")


@newest_server
@pytest.mark.parametrize("journal", ["arrowsync", None])
def test_rows_are_not_replaced_by_none(
    source: str, target: tuple[str, Count], journal: str | None, sqlite_file: Callable[..., Path]
) -> None:
    place, count = target
    copy(source, place)
    emptied(sqlite_file)
    report = refused(source, place, journal=journal)
    assert (report.status, report.warnings, count()) == ("failed", (), ROWS)
    report = copy(source, place, mode="replace", journal=journal, allow_empty=True)
    assert (report.status, count()) == ("complete", 0)
    assert report.warnings == (f"{report.tables[0].table}: replaced 1,000 rows by 0",)
    # A table without rows has none to lose.
    report = copy(source, place, mode="replace", journal=journal)
    assert (report.status, report.warnings) == ("complete", ())


@newest_server
def test_a_source_that_was_filled_again_is_read_anew(
    source: str, target: tuple[str, Count], sqlite_file: Callable[..., Path]
) -> None:
    place, count = target
    copy(source, place)
    emptied(sqlite_file)
    refused(source, place)
    sqlite_file("insert into t values (1), (2)")
    report = copy(source, place, mode="replace")
    assert (report.status, report.rows_written, count()) == ("complete", 2, 2)
    assert "replaced 1,000 rows by 2" in str(report.warnings)


@newest_server
def test_a_filter_is_put_right_without_a_restart(source: str, target: tuple[str, Count]) -> None:
    place, count = target
    copy(source, place)
    refused(source, place, where="id < 0")
    assert copy(source, place, mode="replace", where="id <= 7").status == "complete"
    assert count() == 7


@newest_server
@pytest.mark.parametrize("journal", ["arrowsync", None])
def test_rows_that_all_went_to_quarantine_replace_none(
    postgresql: Database, tmp_path: Path, journal: str | None
) -> None:
    postgresql.execute("create table t (s text not null); insert into t values ('kept')")
    frame = pa.table({"s": ["\0"]})
    report = refused(frame, postgresql.uri, journal=journal, quarantine=str(tmp_path))
    assert report.rows_quarantined == (1 if journal else 0)
    assert postgresql.execute("select s from t") == [("kept",)]


@newest_server
def test_the_other_tables_are_replaced(postgresql: Database, sqlite_file: Callable[..., Path]) -> None:
    source = str(sqlite_file("create table a (i int); create table b (i int); insert into b values (1), (2)"))
    postgresql.execute(
        "create table a (i int); insert into a values (7); create table b (i int); insert into b values (7)"
    )
    with pytest.raises(TransferError) as failure:
        copy(source, postgresql.uri, table=None, mode="replace")
    report = failure.value.report
    assert [(each.table, each.status, each.warnings) for each in report.tables] == [
        ("a", "failed", ()),
        ("b", "complete", ("replaced 1 row by 2",)),
    ]
    assert postgresql.execute("select (select i from a), (select count(*) from b)") == [(7, 2)]


@pytest.mark.parametrize(
    ("allowed", "goes"), [(["a*"], True), ("a", True), (["b"], False), (["*", "!a"], False)]
)
def test_patterns_say_which_tables_may_be_emptied(
    tmp_path: Path, sqlite_file: Callable[..., Path], allowed: Any, goes: bool
) -> None:
    source, target = str(sqlite_file("create table a (i int)")), str(tmp_path / "target.db")
    sqlite_file("create table a (i int); insert into a values (7)", "target.db")
    if goes:
        assert copy(source, target, table="a", mode="replace", allow_empty=allowed).status == "complete"
    else:
        refused(source, target, table="a", allow_empty=allowed)


def test_the_report_says_how_many_rows_were_replaced_by_how_many(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = str(tmp_path / "target.db")
    assert copy(source, target).warnings == ()
    assert copy(source, target, mode="replace", where="id <= 7").warnings == ("t: replaced 1,000 rows by 7",)
    monkeypatch.setattr(catalog, "COUNTED", 0)
    monkeypatch.setattr(replacing, "COUNTED_BYTES", 0)
    assert copy(source, target, mode="replace").warnings == ("t: replaced about 7 rows by 1,000",)


def test_the_command_line_keeps_the_rows_too(
    source: str, tmp_path: Path, sqlite_file: Callable[..., Path]
) -> None:
    command = ["copy", source, str(tmp_path / "target.db"), "-t", "t", "--json"]
    assert command_line.arrowsync(*command).returncode == 0
    emptied(sqlite_file)
    kept = command_line.arrowsync(*command, "-m", "replace")
    assert (kept.returncode, json.loads(kept.stdout)["status"]) == (1, "failed")
    assert "1,000 rows of t, which stay" in json.loads(kept.stdout)["errors"][0]["message"]
    gone = command_line.arrowsync(*command, "-m", "replace", "--allow-empty")
    assert (gone.returncode, json.loads(gone.stdout)["warnings"]) == (0, ["t: replaced 1,000 rows by 0"])


# -- sources without anything to copy ----------------------------------------------------------------------

ASKS = r"holds no tables\. Are source and target the right way round\?"


@pytest.mark.parametrize("verb", [arrowsync.plan, arrowsync.copy, arrowsync.verify])
@pytest.mark.parametrize("named", [{}, {"table": "t"}, {"tables": "*"}], ids=["all", "one", "pattern"])
@pytest.mark.parametrize("size", ["a database", "zero bytes"])
def test_a_source_without_tables_asks_which_way_round(
    source: str,
    sqlite_file: Callable[..., Path],
    verb: Callable[..., object],
    named: dict[str, str],
    size: str,
) -> None:
    empty = sqlite_file("create table x (i int); drop table x", "empty.db")
    if size == "zero bytes":
        empty.write_bytes(b"")
    with pytest.raises(ConfigError, match=ASKS):
        verb(empty, source, **named)


@newest_server
def test_a_postgresql_without_tables_asks_too(postgresql: Database, source: str) -> None:
    with pytest.raises(ConfigError, match=ASKS):
        arrowsync.copy(postgresql.uri, source)
    postgresql.execute("create view v as select 1 as i")
    with pytest.raises(ConfigError, match=r"holds no tables.*--views"):
        arrowsync.copy(postgresql.uri, source)
    assert copy(postgresql.uri, source, table="v").status == "complete"


def test_a_parquet_file_of_zero_bytes_is_no_source(tmp_path: Path, source: str) -> None:
    (tmp_path / "parts").mkdir()
    file, part = tmp_path / "empty.parquet", tmp_path / "parts" / "1.parquet"
    for path in (file, part):
        path.write_bytes(b"")
    for place, path in ((file, file), (part, part), (part.parent, part)):
        with pytest.raises(ConfigError, match=f"cannot read '{path}' as Parquet"):
            copy(place, source)


def test_the_command_line_ends_with_2_where_there_is_nothing_to_copy(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "empty.parquet").touch()
    for name in ("empty.db", "empty.parquet"):
        done = command_line.arrowsync("copy", tmp_path / name, source)
        assert (done.returncode, "\nerror: " in f"\n{done.stderr}") == (2, True)
