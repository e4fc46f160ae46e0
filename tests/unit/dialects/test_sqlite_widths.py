"""How wide SQLite's rows are is known without reading them, and decides how many are read at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table, TableName, Widths
from arrowsync.core.units import KiB, MiB
from arrowsync.dialects.sqlite import SQLite
from arrowsync.dialects.sqlite.reading import BATCH_ROWS
from arrowsync.endpoints.connections import AdbcConnection
from tests.unit.dialects.routes import connect, plan_for

SQLITE = SQLite()
NUMBERS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) "
NARROW = f"insert into t {NUMBERS.format(60_000)} select i, printf('%.80c', 'x') from n;"
WIDE = f"insert into t {NUMBERS.format(3)} select 100000 + i, zeroblob({2 * MiB} + i) from n;"


@pytest.fixture
def source(sqlite_file: Callable[..., Path], request: pytest.FixtureRequest) -> Iterator[AdbcConnection]:
    path = sqlite_file("create table t (id integer primary key, b);" + request.param)
    with connect(SQLITE, str(path), read_only=True) as connection:
        yield connection


def described(source: AdbcConnection) -> Table:
    return SQLITE.describe(source, [TableName("t")])[0]


def measured(source: AdbcConnection, where: str | None = None) -> Widths:
    widths = SQLITE.widths(source, described(source), where)
    assert widths is not None
    return widths


def planned(source: AdbcConnection) -> TablePlan:
    table = replace(described(source), widths=measured(source))
    return plan_for(source, source, table, TableName("copy"))


@pytest.mark.parametrize("source", [NARROW], indirect=True)
def test_rows_that_share_pages_are_as_wide_as_their_share(source: AdbcConnection) -> None:
    widths = measured(source)
    assert sum(count for _, count in widths.classes) >= 60_000
    assert 40 * KiB < widths.rows_within(4 * MiB) < 48 * KiB


@pytest.mark.parametrize("source", [NARROW + "insert into t values (0, zeroblob(3000))"], indirect=True)
def test_one_wider_row_does_not_make_the_others_wide(source: AdbcConnection) -> None:
    widths = measured(source)
    assert widths.widest > KiB
    assert 40 * KiB < widths.rows_within(4 * MiB) < 48 * KiB


VIRTUAL = f"create virtual table v using fts5(b); insert into v {NUMBERS.format(4)} select printf('%.*c', {2 * MiB}, 'x') from n"


@pytest.mark.parametrize("source", [NARROW + VIRTUAL], indirect=True)
def test_the_rows_of_a_virtual_table_which_has_no_pages_are_measured(source: AdbcConnection) -> None:
    (table,) = SQLITE.describe(source, [TableName("v")])
    widths = SQLITE.widths(source, table, None)
    assert widths is not None
    assert widths.widest == 2 * MiB


@pytest.mark.parametrize("source", [NARROW + WIDE], indirect=True)
def test_the_widest_row_is_named_by_its_key(source: AdbcConnection) -> None:
    widths = measured(source)
    assert (widths.widest, widths.row) == (2 * MiB + 3 + 6, "id = 100003")
    assert widths.classes[-1] == (1 * KiB, 60_000)


@pytest.mark.parametrize("source", [NARROW + WIDE], indirect=True)
def test_rows_that_are_not_wanted_are_not_measured(source: AdbcConnection) -> None:
    assert measured(source, "id < 100002 -- but the last two").row == "id = 100001"
    assert measured(source, "id < 0").widest == 0


@pytest.mark.parametrize("source", [NARROW + WIDE], indirect=True)
def test_wide_rows_are_read_one_by_one_and_the_others_many_at_a_time(source: AdbcConnection) -> None:
    plan = planned(source)
    (narrow, few), (wide, one) = SQLITE.reads(plan, Partition(0), batch_bytes=3 * MiB)
    assert (int(few[BATCH_ROWS]), int(one[BATCH_ROWS])) == (3 * KiB, 1)
    read = []
    for query, options in ((narrow, few), (wide, one)):
        with source.stream(query, options) as batches:
            read.append([batch.num_rows for batch in SQLITE.unwrap(batches, plan)])
    assert (sum(read[0]), read[1]) == (60_000, [1, 1, 1])


@pytest.mark.parametrize("source", [WIDE + f"insert into t {NUMBERS.format(1)} select 1, 'x'"], indirect=True)
def test_a_table_without_a_key_to_name_is_named_by_its_rowid(source: AdbcConnection) -> None:
    unkeyed = replace(described(source), primary_key=None)
    widths = SQLITE.widths(source, unkeyed, None)
    assert widths is not None
    assert widths.row == "rowid = 100003"


@pytest.mark.parametrize("source", ["insert into t values (1, 'x')"], indirect=True)
def test_a_small_file_is_not_measured_and_a_query_always_is(source: AdbcConnection) -> None:
    assert SQLITE.widths(source, described(source), None) is None
    query = SQLITE.describe_query(source, TableName("q"), f"select id, zeroblob({8 * MiB}) as b from t")
    widths = SQLITE.widths(source, query, None)
    assert widths is not None
    assert (widths.widest, widths.row) == (8 * MiB + 1, None)


COLUMNS = ", ".join(f"c{number} boolean" for number in range(1_600))


def test_1_600_booleans_are_read_few_rows_at_a_time(sqlite_file: Callable[..., Path]) -> None:
    """The driver reserves nine bytes for each value."""
    with connect(SQLITE, str(sqlite_file(f"create table t ({COLUMNS})")), read_only=True) as source:
        ((_, options),) = SQLITE.reads(
            plan_for(source, source, described(source), TableName("copy")), Partition(0), batch_bytes=1 * MiB
        )
        assert int(options[BATCH_ROWS]) == 1 * MiB // (9 * 1_600)
        assert measured_query(source) == 0


def measured_query(source: AdbcConnection) -> int:
    """1,600 columns are more than one expression may add up."""
    query = SQLITE.describe_query(source, TableName("q"), "select * from t")
    widths = SQLITE.widths(source, query, None)
    assert widths is not None
    return widths.widest
