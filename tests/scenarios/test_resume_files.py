"""A transfer into SQLite or a folder is resumed as one, as into PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ResumeError
from arrowsync.endpoints import Files
from tests import command_line
from tests.scenarios.test_resume_transfer import (
    AB,
    ROWS,
    copy,
    stopped_at,
    stopped_before_the_mark,
)


@pytest.fixture
def sqlite_pair(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]]
) -> tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]]:
    """A source with the tables a and b, a target, and a way to look into the target."""
    rows = f"with recursive n(i) as (values (1) union all select i + 1 from n where i < {ROWS}) "
    tables = "create table {0} (id integer primary key, name text); insert into {0} {1} select i, 'row ' || i from n;"
    source = sqlite_file("".join(tables.format(name, rows) for name in "ab"), "source.db")
    target = source.with_name("target.db")
    return source, target, lambda sql: sqlite_rows(target, sql)


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_finished_table_is_not_copied_into_sqlite_again(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]],
    sqlite_file: Callable[..., Path],
    mode: str,
) -> None:
    source, target, rows = sqlite_pair
    if mode != "create":
        sqlite_file(
            "create table a (id integer, name text); create table b (id integer, name text)", target.name
        )
    stopped_at("b", source, target, mode=mode, **AB)
    report = copy(source, target, mode=mode, **AB)
    for name in ("a", "b"):
        assert rows(f"select count(*), count(distinct id) from {name}") == [(ROWS, ROWS)]
    assert (report.rows_resumed, report.rows_written) == (ROWS, 2 * ROWS)
    assert rows("select name from sqlite_master where name like 'arrowsync%'") == []
    assert sorted(path.name for path in target.parent.iterdir()) == ["source.db", "target.db"]


def test_a_repeat_of_one_table_appends_nothing_between_publishing_and_the_mark(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]],
    sqlite_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target, rows = sqlite_pair
    sqlite_file("create table a (id integer, name text)", target.name)
    stopped_before_the_mark(monkeypatch, source, target, table="a", mode="append")
    assert copy(source, target, table="a", mode="append").rows_resumed == ROWS
    assert rows("select count(*) from a") == [(ROWS,)]
    assert copy(source, target, table="a", mode="append").rows_resumed == 0
    assert rows("select count(*) from a") == [(2 * ROWS,)]


def test_an_append_into_sqlite_is_not_started_over_until_its_rows_are_gone(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]], sqlite_file: Callable[..., Path]
) -> None:
    source, target, rows = sqlite_pair
    sqlite_file(
        "create table a (id integer, name text); create table b (id integer, name text); "
        "insert into a values (-1, 'mine')",
        target.name,
    )
    told = {"mode": "append", **AB}
    stopped_at("b", source, target, **told)
    sqlite_file("delete from a where id = 7", target.name)
    with pytest.raises(ResumeError, match="1,000 rows of an unfinished append are in a"):
        copy(source, target, restart=True, **told)
    sqlite_file("delete from a where id > 0", target.name)
    copy(source, target, restart=True, **told)
    assert rows("select count(*), count(distinct id) from a") == [(ROWS + 1, ROWS + 1)]


def test_a_run_that_resumes_says_first_what_is_kept(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]],
) -> None:
    source, target, _ = sqlite_pair
    stopped_at("b", source, target, **AB)
    plan = arrowsync.plan(str(source), str(target), **AB)
    assert "2 tables, 1 of them copied already" in str(plan)
    assert "an earlier run has finished it" in str(plan)
    done = command_line.arrowsync("copy", source, target, "-t", "a", "-t", "b")
    first = done.stderr.splitlines()[1]  # after "planning"
    assert first.startswith("1 table (a) of an earlier run is kept with the rows of ")
    assert "--restart copies all anew" in first


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_repeat_into_a_folder_between_publishing_and_the_mark_returns_the_finished_report(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    source, _, _ = sqlite_pair
    folder = f"{source.parent}/parts/"
    before = 0
    if mode != "create":
        copy(source, folder, table="a")
        before = ROWS if mode == "append" else 0
    stopped_before_the_mark(monkeypatch, source, folder, of=Files, table="a", mode=mode)
    [status] = arrowsync.status(folder)
    assert (status.status, status.tables[0].status) == ("interrupted", "complete")
    report = copy(source, folder, table="a", mode=mode)
    assert (report.status, report.rows_resumed, report.rows_written) == ("complete", ROWS, ROWS)
    [table] = arrowsync.inspect(folder)
    assert table.rows == before + ROWS
    assert [path.name for path in Path(folder).iterdir() if path.suffix != ".parquet"] == []
    assert len(arrowsync.status(folder)) == 0


def test_an_append_to_a_folder_is_started_over_since_its_parts_are_known(
    sqlite_pair: tuple[Path, Path, Callable[[str], list[tuple[Any, ...]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _, _ = sqlite_pair
    folder = f"{source.parent}/parts/"
    copy(source, folder, table="a")
    stopped_before_the_mark(monkeypatch, source, folder, of=Files, table="a", mode="append")
    copy(source, folder, table="a", mode="append", restart=True)
    [table] = arrowsync.inspect(folder)
    assert table.rows == 2 * ROWS
