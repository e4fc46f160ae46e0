"""Types sampled from a sample of a SQLite table: the copy proves them, or the table is started over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits, Plan, Report, api
from arrowsync.core.arguments import CopyArguments
from arrowsync.core.contracts import Connection, Forms
from arrowsync.core.events import BatchWritten, Event, PartitionCommitted, PartitionRefused, TableStarted
from arrowsync.core.table import Table
from arrowsync.dialects.sqlite import type_inference
from arrowsync.engine import table_run
from arrowsync.errors import TransferError
from tests.fix_postgresql import Database
from tests.scenarios.copies import interrupted, killed_child, newest_server

ROWS = 20_000
LATE = 17_500  # in none of the sample's places
SMALL: dict[str, Any] = {"partition_bytes": "256 KiB", "batch_rows": 1_000}
GOOD = (
    "create table t (id integer primary key, v {declared}, pad text);"
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) "
    "insert into t select i, {usual}, 'row number ' || i || ' and so on until it is wide' from n;"
)


@pytest.fixture(autouse=True)
def few_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type_inference, "ROWS_TO_SAMPLE", 10_000)
    monkeypatch.setattr(type_inference, "SAMPLE_ROWS", 100)


@pytest.fixture
def censuses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of which all rows were asked."""
    asked: list[str] = []
    whole = type_inference.forms

    def forms(connection: Connection, table: Table) -> Forms:
        asked.append(table.name.name)
        return whole(connection, table)

    monkeypatch.setattr(type_inference, "forms", forms)
    return asked


def table_of(declared: str = "date", usual: str = "'2024-01-01'", late: str | None = None) -> str:
    changed = f"update t set v = {late} where id = {LATE};" if late else ""
    return GOOD.format(declared=declared, usual=usual, rows=ROWS) + changed


def copy(source: Path, target: Database, **told: Any) -> Report:
    told = {"table": "t", "limits": Limits(**SMALL), "progress": False, **told}
    return arrowsync.copy(str(source), target.uri, **told)


def planned_for_copy(source: str, target: str, **told: Any) -> Plan:
    return api.planned(CopyArguments(source, target, **told), sample_types=True)


def types(target: Database, name: str = "t") -> dict[str, tuple[str, bool]]:
    return {
        column: (type, not_null)
        for column, type, not_null in target.execute(
            "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
            f"where attrelid = '{name}'::regclass and attnum > 0"
        )
    }


def content(target: Database, name: str = "t") -> list[tuple[Any, ...]]:
    return target.execute(
        f"select count(*), count(distinct id), count(v), sum(hashtext(x::text)::bigint) from {name} x"
    )


# -- what a sample cannot see --------------------------------------------------------------------------------

LATE_VALUES = {
    "a word among dates": ("date", "'2024-01-01'", "'n/a'", "text"),
    "a time among dates": ("date", "'2024-01-01'", "'2024-01-01 10:00'", "timestamp without time zone"),
    "a zone among timestamps": ("datetime", "'2024-01-01 10:00'", "'2024-01-01T10:00Z'", "text"),
    "a number among dates": ("date", "'2024-01-01'", "20240101", "text"),
    "a number among times": ("time", "'10:00'", "10", "text"),
    "too many digits": ("decimal(10,2)", "i / 4.0", "0.129", "numeric"),
    "too many digits after integers": ("decimal(10,2)", "i", "0.129", "numeric"),
    "too many digits in front": ("decimal(10,2)", "1.25", "123456789.25", "numeric"),
    "a word among decimals": ("decimal(10,2)", "1.25", "'n/a'", "text"),
    "a word among integers": ("integer", "i", "'n/a'", "text"),
    "a double among integers": ("integer", "i", "1.5", "double precision"),
    "a double among integers without a type": ("", "i", "1.5", "double precision"),
    "bytes among integers": ("integer", "i", "x'00'", "bytea"),
    "a large integer among doubles": ("", "1.5", "9007199254740993", "numeric"),
    "a large integer among numbers": ("", "iif(i % 2, i, 1.5)", "9007199254740993", "numeric"),
    "an integer among doubles": ("", "1.5", "7", "double precision"),
    "a word among doubles": ("real", "1.5", "'much'", "text"),
    "infinity as a word": ("real", "1.5", "'Infinity'", "double precision"),
    "a two among booleans": ("boolean", "i % 2", "2", "bigint"),
    "a word among booleans": ("boolean", "i % 2", "'maybe'", "text"),
    "true among booleans": ("boolean", "i % 2", "'true'", "boolean"),
    "broken json": ("json", "'{}'", "'{'", "text"),
    "a capital uuid": ("uuid", "'8d0e1b5e-9f2a-4c6d-8b1a-2f3e4d5c6b7a'", "'8D'", "text"),
    "a number among texts": ("", "'x' || i", "7", "text"),
    "bytes among texts": ("text", "'x' || i", "x'ff'", "bytea"),
    "a text among bytes": ("blob", "x'00ff'", "'x'", "bytea"),
    "one integer": ("", "null", "7", "bigint"),
    "one integer in a numeric": ("numeric", "null", "7", "bigint"),
    "one text in an integer": ("integer", "null", "'n/a'", "text"),
    "one date": ("date", "null", "'2024-01-01'", "date"),
    "one timestamp in a date": ("date", "null", "'2024-01-01 10:00'", "timestamp without time zone"),
    "one blob": ("", "null", "x'00'", "bytea"),
}  # fmt: skip


@newest_server
@pytest.mark.parametrize(("declared", "usual", "late", "type"), LATE_VALUES.values(), ids=LATE_VALUES)
def test_one_late_value_makes_the_column_what_a_summary_of_all_rows_would(
    sqlite_file: Callable[..., Path],
    new_database: Callable[..., Database],
    declared: str,
    usual: str,
    late: str,
    type: str,
) -> None:
    source = sqlite_file(table_of(declared, usual, late))
    certain, sampled = new_database(), new_database()
    told = {"table": "t", "limits": Limits(**SMALL)}
    today = arrowsync.plan(str(source), certain.uri, **told).run(progress=False)
    [plan] = planned_for_copy(str(source), sampled.uri, table="t").tables
    over = plan.target.column("v").type != type
    report = copy(source, sampled)
    assert types(sampled)["v"][0] == type
    assert types(sampled) == types(certain)
    assert content(sampled) == content(certain)
    values = "select id, v::text from t order by id"
    assert sampled.execute(values) == certain.execute(values)
    ours, theirs = ({**each.to_dict()} for each in (report, today))
    for name in ("status", "rows_read", "rows_written", "rows_quarantined", "partitions", "rows_resumed"):
        assert ours[name] == theirs[name]
    assert report.verified == "count"
    assert report.partitions > 4
    assert [warning.partition(":")[0] for warning in report.tables[0].warnings] == ["started over"] * over
    assert sampled.execute("select count(*) from arrowsync.receipts") == [(0,)]


@newest_server
def test_what_a_sample_foresees_is_copied_without_asking_all_rows(
    sqlite_file: Callable[..., Path], postgresql: Database, censuses: list[str]
) -> None:
    source = sqlite_file(table_of())
    report = copy(source, postgresql, verify="hash")
    assert censuses == []
    assert (report.rows_written, report.warnings, report.verified) == (ROWS, (), "hash")
    assert types(postgresql)["v"][0] == "date"


@newest_server
@pytest.mark.parametrize(
    "places", [(1,), (ROWS,), (9_000, 9_001)], ids=["the first", "the last", "in between"]
)
def test_the_sample_is_of_the_whole_table(
    sqlite_file: Callable[..., Path],
    postgresql: Database,
    censuses: list[str],
    places: tuple[int, ...],
) -> None:
    at = ", ".join(map(str, places))
    source = sqlite_file(
        table_of() + f"update t set v = 'n/a' where id in ({at}) or id between 8500 and 8600"
    )
    assert copy(source, postgresql).warnings == ()
    assert (types(postgresql)["v"][0], censuses) == ("text", [])


@newest_server
def test_a_table_that_starts_over_says_why_and_counts_each_row_once(
    sqlite_file: Callable[..., Path], postgresql: Database, censuses: list[str]
) -> None:
    told: list[Event] = []
    source = sqlite_file(table_of(late="'n/a'"))
    report = copy(source, postgresql, workers=1, observer=told.append)
    [table] = report.tables
    assert table.warnings == ("started over: column 'v' holds values that are no date: it is text",)
    assert censuses == ["t"]
    first, second = (event for event in told if isinstance(event, TableStarted))
    assert (first.plan.sampled, second.plan.sampled) == (True, False)
    assert [event.column for event in told if isinstance(event, PartitionRefused)] == ["v"]
    committed = [event for event in told if isinstance(event, PartitionCommitted)]
    assert len(committed) > table.partitions == len(second.plan.partitions)
    assert (table.rows_written, table.rows_resumed, table.status) == (ROWS, 0, "complete")
    assert content(postgresql)[0][:2] == (ROWS, ROWS)


@newest_server
def test_only_the_table_that_was_sampled_wrongly_starts_over(
    sqlite_file: Callable[..., Path], postgresql: Database, censuses: list[str]
) -> None:
    source = sqlite_file(
        table_of("integer unique", "i")
        .replace("table t ", "table parent ")
        .replace("into t ", "into parent ")
        + table_of("integer references parent(v)", "i")
        + f"pragma foreign_keys = off; update parent set v = 'n/a' where id = {LATE};"
        + f"update t set v = 'n/a' where id = {LATE};"
        + table_of().replace("table t ", "table u ").replace("into t ", "into u ")
    )
    report = copy(source, postgresql, table=None)
    assert sorted(censuses) == ["parent", "t"]
    assert {table.table: len(table.warnings) for table in report.tables} == {"parent": 1, "t": 1, "u": 0}
    assert (types(postgresql)["v"][0], types(postgresql, "u")["v"][0]) == ("text", "date")
    assert postgresql.execute("select conrelid::regclass::text from pg_constraint where contype = 'f'") == [
        ("t",)
    ]


@newest_server
def test_a_replaced_table_stays_what_it_was_until_the_other_types_are_in(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    postgresql.execute("create table t (id int); insert into t values (1)")
    seen = set()

    def look(event: Event) -> None:
        if isinstance(event, BatchWritten):
            seen.add(postgresql.execute("select count(*) from t")[0][0])

    report = copy(sqlite_file(table_of(late="'n/a'")), postgresql, mode="replace", observer=look)
    assert seen == {1}
    assert (types(postgresql)["v"][0], report.rows_written) == ("text", ROWS)
    over, replaced = report.warnings
    assert "started over" in over
    assert replaced == f"t: replaced 1 row by {ROWS:,}"
    tables = "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    assert postgresql.execute(tables) == [("t",)]


# -- rows that are refused -----------------------------------------------------------------------------------


@newest_server
def test_rows_put_aside_before_a_table_starts_over_are_there_once(
    sqlite_file: Callable[..., Path], new_database: Callable[..., Database], tmp_path: Path
) -> None:
    """A text with U+0000 is a bad row with any types, broken UTF-8 too; a wrong sample is none."""
    nul = "update t set pad = 'a' || char(0) where id = 3; update t set pad = cast(x'ff' as text) where id = 12000;"
    source = sqlite_file(table_of(late="'n/a'") + nul)
    certain, sampled = new_database(), new_database()
    told = {"table": "t", "limits": Limits(**SMALL)}
    today = arrowsync.plan(str(source), certain.uri, **told, quarantine=str(tmp_path / "a")).run(
        progress=False
    )
    report = copy(source, sampled, quarantine=str(tmp_path / "b"))
    assert (
        (report.status, report.rows_quarantined) == (today.status, today.rows_quarantined) == ("partial", 2)
    )
    assert content(sampled) == content(certain)
    one, other = (
        sorted(
            (path.parent.name, path.name, pq.read_table(path).column("id").to_pylist())
            for path in (tmp_path / place).rglob("*.parquet")
        )
        for place in "ab"
    )
    assert one == other
    assert [ids for *_, ids in one] == [[3], [12000]]


@newest_server
def test_a_bad_row_alone_starts_nothing_over(
    sqlite_file: Callable[..., Path], postgresql: Database, tmp_path: Path, censuses: list[str]
) -> None:
    source = sqlite_file(table_of() + "update t set pad = 'a' || char(0) where id = 3")
    report = copy(source, postgresql, quarantine=str(tmp_path))
    assert (report.rows_quarantined, report.warnings, censuses) == (1, (), [])


@newest_server
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_row_that_is_bad_for_sampled_types_only_does_not_end_the_copy(
    sqlite_file: Callable[..., Path], postgresql: Database, mode: str
) -> None:
    """10:00 and 10:00:00 are one time and two texts, which the last row makes them."""
    source = sqlite_file(
        "create table keyed (v time primary key, id integer, pad text);"
        f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) "
        "insert into keyed select time(i, 'unixepoch'), i, 'and so on until it is wide, and wider still' from n;"
        "update keyed set v = '00:00' where id = 5;"
        f"update keyed set v = 'soon' where id = {LATE};"
        "insert into keyed values ('00:00:00', 0, '')",
        "keyed.db",
    )
    report = copy(source, postgresql, table="keyed", mode=mode, on_bad_rows="stop")
    assert types(postgresql, "keyed")["v"][0] == "text"
    assert (report.rows_written, report.status) == (ROWS + 1, "complete")
    assert report.warnings[0].startswith("keyed: started over: column 'v'")


@newest_server
def test_rows_that_no_types_help_fail_as_they_did(
    sqlite_file: Callable[..., Path], postgresql: Database, censuses: list[str]
) -> None:
    source = sqlite_file(table_of() + "update t set pad = 'a' || char(0) where id = 3")
    with pytest.raises(TransferError, match="U\\+0000") as failed:
        copy(source, postgresql, on_bad_rows="stop")
    assert (failed.value.report.warnings, censuses) == ((), ["t"])


# -- when nothing is sampled --------------------------------------------------------------------------------


@newest_server
def test_a_plan_that_is_shown_is_certain(sqlite_file: Callable[..., Path], postgresql: Database) -> None:
    plan = arrowsync.plan(str(sqlite_file(table_of(late="'n/a'"))), postgresql.uri, table="t")
    assert [column.target.type for column in plan.tables[0].columns] == ["bigint", "text", "text"]
    assert plan.run(progress=False).warnings == ()


@newest_server
@pytest.mark.parametrize(
    "told",
    [
        {"where": "id < 10"},  # rows that are not copied decide too
        {"cast": {"id": "numeric"}},
        {"schema_only": True},
        {"journal": None},
        {"table": None, "query": "select * from t", "target_table": "t"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_what_the_copy_would_not_prove_is_not_sampled(
    sqlite_file: Callable[..., Path], postgresql: Database, told: dict[str, Any]
) -> None:
    source = str(sqlite_file(table_of(late="'n/a'")))
    [plan] = planned_for_copy(source, postgresql.uri, **{"table": "t", **told}).tables
    assert not plan.sampled
    assert plan.target.column("v").type == "text"


@newest_server
def test_tables_that_are_there_small_or_without_rowids_are_not_sampled(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    source = str(
        sqlite_file(
            table_of()
            + "create table small as select * from t limit 9999; create view seen as select * from t;"
            "create table keyed (id integer primary key, v date) without rowid; insert into keyed select id, v from t"
        )
    )
    postgresql.execute("create table there (id int, v date, pad text)")
    made = planned_for_copy(source, postgresql.uri, tables="*").tables
    assert {str(plan.source.name): plan.sampled for plan in made} == {
        "t": True,
        "small": False,
        "keyed": False,
    }
    [there] = planned_for_copy(source, postgresql.uri, table="t", target_table="there").tables
    [seen] = planned_for_copy(source, postgresql.uri, table="seen").tables
    assert not there.sampled
    assert not seen.sampled


def test_other_targets_are_not_sampled(sqlite_file: Callable[..., Path], tmp_path: Path) -> None:
    source = str(sqlite_file(table_of()))
    for target in (tmp_path / "t.parquet", f"{tmp_path / 't'}/", tmp_path / "other.db"):
        assert not planned_for_copy(source, str(target), table="t").tables[0].sampled


# -- interruptions -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As good as a kill for the target: nothing more is said to it."""


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, before: str) -> Iterator[None]:
    """A copy that ends before the runner calls a function."""

    def end(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(table_run, before, end)
        try:
            yield
        except Killed:
            return
    raise AssertionError("it was not called")


def unfinished(target: Database) -> list[tuple[Any, ...]]:
    return target.execute(
        "select (state::json -> 'presumed') is not null, (select count(*) > 0 from arrowsync.receipts) "
        "from arrowsync.transfers where status = 'running'"
    )


@newest_server
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_sampled_copy_that_was_right_is_gone_on_with(
    sqlite_file: Callable[..., Path], postgresql: Database, mode: str
) -> None:
    postgresql.execute("create table t (id int)" if mode == "replace" else "select 1")
    source = sqlite_file(table_of())
    interrupted(str(source), postgresql.uri, rows=ROWS // 2, workers=1, mode=mode, limits=Limits(**SMALL))
    assert unfinished(postgresql) == [(True, True)]
    report = copy(source, postgresql, mode=mode, verify="hash")
    assert report.rows_resumed > 0
    assert (report.warnings, report.verified) == ((), "hash")
    assert content(postgresql)[0][:3] == (ROWS, ROWS, ROWS)
    assert types(postgresql)["v"][0] == "date"


@newest_server
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_sampled_copy_that_was_wrong_is_started_over_by_the_next_run(
    sqlite_file: Callable[..., Path], postgresql: Database, mode: str
) -> None:
    postgresql.execute("create table t (id int)" if mode == "replace" else "select 1")
    source = sqlite_file(table_of(late="'n/a'"))
    interrupted(str(source), postgresql.uri, rows=ROWS // 2, workers=1, mode=mode, limits=Limits(**SMALL))
    assert unfinished(postgresql) == [(True, True)]
    report = copy(source, postgresql, mode=mode, verify="hash")
    assert [text.partition(":")[0] for text in report.tables[0].warnings] == ["started over"]
    assert (report.rows_resumed, report.rows_written, report.verified) == (0, ROWS, "hash")
    assert content(postgresql)[0][:3] == (ROWS, ROWS, ROWS)
    assert types(postgresql)["v"][0] == "text"


@newest_server
@pytest.mark.parametrize("before", ["certain", "_contradicted"])
def test_a_run_that_ends_while_it_starts_over_is_followed_by_a_certain_one(
    sqlite_file: Callable[..., Path], postgresql: Database, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    source = sqlite_file(table_of(late="'n/a'"))
    with killed(monkeypatch, before):
        copy(source, postgresql, workers=1)
    assert unfinished(postgresql) == [(True, True)]
    report = copy(source, postgresql)
    assert (report.rows_resumed, report.rows_written) == (0, ROWS)
    assert content(postgresql)[0][:3] == (ROWS, ROWS, ROWS)
    assert types(postgresql)["v"][0] == "text"


@newest_server
def test_a_run_that_was_started_over_is_gone_on_with_and_presumes_nothing_again(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    source = sqlite_file(table_of(late="'n/a'"))
    interrupted(str(source), postgresql.uri, rows=LATE + ROWS // 2, workers=1, limits=Limits(**SMALL))
    assert unfinished(postgresql) == [(False, True)]
    told: list[Event] = []
    report = copy(source, postgresql, observer=told.append)
    assert sum(isinstance(event, TableStarted) for event in told) == 1
    assert report.rows_resumed > 0
    assert content(postgresql)[0][:3] == (ROWS, ROWS, ROWS)
    assert types(postgresql)["v"][0] == "text"


@newest_server
@pytest.mark.parametrize(
    "kills", [(0.0, 0.0), (0.4, 0.4), (1.2, 0.2)], ids=["at once", "before it shows", "after it shows"]
)
def test_killed_copies_of_a_table_that_is_sampled_wrongly_end_with_every_row_once(
    sqlite_file: Callable[..., Path], postgresql: Database, kills: tuple[float, ...]
) -> None:
    rows = 150_000  # enough for a child, where no test says how many are many
    source = sqlite_file(
        GOOD.format(declared="date", usual="'2024-01-01'", rows=rows)
        + f"update t set v = 'n/a' where id = {int(rows * 0.9)}"
    )
    limits = {"partition_bytes": "1 MiB", "batch_rows": 5_000}
    for part in kills:
        killed_child(
            str(source), postgresql.uri, table="t", limits=limits, workers=1, kill_at=int(part * rows)
        )
    report = copy(source, postgresql, limits=Limits(**limits), verify="hash")
    assert (report.rows_written, report.verified) == (rows, "hash")
    assert content(postgresql)[0][:3] == (rows, rows, rows)
    assert types(postgresql)["v"][0] == "text"


# -- executors -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    kinds: dict[str, Callable[[], Executor]] = {
        "threads": lambda: ThreadPoolExecutor(2),
        "processes": lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
    }
    with kinds[request.param]() as executor:
        yield executor


@newest_server
def test_a_presumption_that_fails_in_a_worker_starts_the_table_over(
    sqlite_file: Callable[..., Path], postgresql: Database, executor: Executor
) -> None:
    source = sqlite_file(table_of(late="'n/a'"))
    report = copy(source, postgresql, executor=executor, verify="hash")
    assert report.tables[0].warnings == (
        "started over: column 'v' holds values that are no date: it is text",
    )
    assert (report.rows_written, report.verified) == (ROWS, "hash")
    assert content(postgresql)[0][:3] == (ROWS, ROWS, ROWS)
    assert types(postgresql)["v"][0] == "text"
