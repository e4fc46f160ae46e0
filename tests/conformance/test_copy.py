"""What a copy promises between any two endpoints; cells are read by other clients than arrowsync's."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync import ConfigError, MemoryLimitError, SchemaError, TransferError, VerificationError
from arrowsync.core.contracts import Connection
from arrowsync.core.events import Event, Publishing
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.database import Database
from tests import fix_postgresql
from tests.conformance.conftest import Pair

TABLE = """
create table orders (
    id bigint not null primary key, total numeric(10,2), note text not null, placed date, paid boolean,
    weight double precision
);
insert into orders values
    (1, 12.50, 'first', '2024-02-29', true, 0.1), (2, null, '', null, null, null),
    (3, -0.05, 'ünï ''q'' 🎉', '1999-12-31', false, 1e300)
"""
# Cents: SQLite prints 12.5 where PostgreSQL prints 12.50.
CELLS = "select id, cast(total * 100 as integer), note, cast(placed as text), weight from orders order by id"


def copied_cells(pair: Pair) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    return pair.source.rows(CELLS), pair.target.rows(CELLS)


def rows_of_numbers(count: int, value: str = "i") -> str:
    """Rows 0, 1, …; both databases know recursive queries."""
    return (
        f"with recursive n(i) as (select 0 union all select i + 1 from n where i < {count - 1}) "
        f"select i, {value} from n"
    )


def test_every_cell_arrives(pair: Pair) -> None:
    pair.source.run(TABLE)
    report = arrowsync.copy(pair.source.uri, pair.target.uri, table="orders", verify="hash")
    assert (report.status, report.rows_written, report.verified) == ("complete", 3, "hash")
    here, there = copied_cells(pair)
    assert here == there


def test_all_tables_are_copied_when_none_is_named(pair: Pair) -> None:
    pair.source.run("create table a (x bigint); create table b (x bigint); insert into b values (1)")
    report = arrowsync.copy(pair.source.uri, pair.target.uri)
    assert sorted(table.rows_written for table in report.tables) == [0, 1]
    assert pair.target.rows("select (select count(*) from a), (select count(*) from b)") == [(0, 1)]


def test_an_empty_table_keeps_its_columns(pair: Pair) -> None:
    pair.source.run(
        "create table t (id bigint not null primary key, name text not null, n numeric(5,2), at timestamp)"
    )
    report = arrowsync.copy(pair.source.uri, pair.target.uri, table="t", verify="hash")
    assert report.rows_written == 0
    again = arrowsync.inspect(pair.target.uri, table="t")[0]
    assert [(column.name, column.nullable) for column in again.columns] == [
        ("id", False),
        ("name", False),
        ("n", True),
        ("at", True),
    ]
    assert again.primary_key is not None
    assert again.primary_key.columns == ("id",)


def test_a_column_that_is_null_in_its_first_100_000_rows_keeps_its_last_value(pair: Pair) -> None:
    pair.source.run("create table t (id bigint, name text, r double precision)")
    pair.source.run(f"insert into t (id, name) {rows_of_numbers(100_000, 'null')}")
    pair.source.run("insert into t values (100000, 'last', 0.5)")
    arrowsync.copy(pair.source.uri, pair.target.uri, table="t", verify="hash")
    assert pair.target.rows("select * from t where name is not null") == [(100_000, "last", 0.5)]
    assert pair.target.rows("select count(*) from t") == [(100_001,)]


def test_1_600_columns_arrive(pair: Pair) -> None:
    names = [f"c{number}" for number in range(1_600)]
    pair.source.run(f"create table wide ({', '.join(f'{name} boolean' for name in names)})")
    values = ", ".join("true" if number % 3 else "false" for number in range(1_600))
    pair.source.run(f"insert into wide values ({values}); insert into wide (c7) values (true)")
    arrowsync.copy(pair.source.uri, pair.target.uri, table="wide", verify="hash")
    full, sparse = sorted(pair.target.rows("select * from wide"), key=lambda row: row.count(None))
    assert full == tuple(number % 3 > 0 for number in range(1_600))
    assert sparse == tuple(True if number == 7 else None for number in range(1_600))


ODD_NAMES = [
    "Ünï cödé 🎉",
    'quo"te',
    "sp ace",
    "UPPER",
    "select",
    "dot.ted",
    "semi;colon",
    "%s",
    "it's",
    "{}",
    "$1",
]


def test_any_name_of_a_table_or_column_works(pair: Pair) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in ODD_NAMES]
    columns = ", ".join(f"{column} bigint" for column in quoted)
    values = ", ".join(str(number) for number in range(len(quoted)))
    made = (
        f"create table {name} ({columns}, primary key ({quoted[1]})); insert into {name} values ({values});"
        for name in quoted
    )
    pair.source.run("".join(made))
    arrowsync.copy(pair.source.uri, pair.target.uri, verify="hash")
    for name in quoted:
        assert pair.target.rows(f"select {', '.join(quoted)} from {name}") == [tuple(range(len(quoted)))]


def test_create_refuses_a_table_that_holds_rows_and_changes_nothing(pair: Pair) -> None:
    pair.source.run(TABLE)
    pair.target.run("create table orders (x bigint); insert into orders values (1)")
    with pytest.raises(ConfigError, match=r"holds rows.*append.*replace"):
        arrowsync.copy(pair.source.uri, pair.target.uri, table="orders")
    assert pair.target.rows("select * from orders") == [(1,)]


def test_create_uses_an_empty_table_whose_columns_fit(pair: Pair) -> None:
    pair.source.run(TABLE)
    pair.target.run(TABLE.partition("insert")[0])
    arrowsync.copy(pair.source.uri, pair.target.uri, table="orders")
    here, there = copied_cells(pair)
    assert here == there


def test_create_refuses_an_empty_table_whose_columns_do_not_fit(pair: Pair) -> None:
    pair.source.run(TABLE)
    pair.target.run("create table orders (id bigint, something text)")
    with pytest.raises(arrowsync.SchemaError, match="total"):
        arrowsync.copy(pair.source.uri, pair.target.uri, table="orders")


def test_append_adds_rows(pair: Pair) -> None:
    pair.source.run(TABLE)
    arrowsync.copy(pair.source.uri, pair.target.uri, table="orders")
    pair.source.run("update orders set id = id + 10")
    arrowsync.copy(pair.source.uri, pair.target.uri, table="orders", mode="append")
    assert pair.target.rows("select id from orders order by id") == [(n,) for n in (1, 2, 3, 11, 12, 13)]


def test_replace_exchanges_the_rows(pair: Pair) -> None:
    pair.source.run(TABLE)
    pair.target.run(
        "create table orders (id bigint primary key, old text); insert into orders values (7, 'old')"
    )
    arrowsync.copy(pair.source.uri, pair.target.uri, table="orders", mode="replace", verify="hash")
    here, there = copied_cells(pair)
    assert here == there


# Text as numbers, and no bad row is put aside.
WRONG: Any = {"cast": {"note": "bigint"}, "on_bad_rows": "stop"}


def test_a_replace_that_fails_leaves_the_old_table(pair: Pair) -> None:
    pair.source.run("create table t (id bigint, note text); insert into t values (1, 'x'), (1, 'y')")
    pair.target.run("create table t (id bigint primary key, old text); insert into t values (7, 'old')")
    with pytest.raises(arrowsync.ArrowsyncError):
        arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode="replace", **WRONG)
    assert pair.target.rows("select * from t") == [(7, "old")]


def test_columns_rename_and_where_choose_what_arrives(pair: Pair) -> None:
    pair.source.run(TABLE)
    arrowsync.copy(
        pair.source.uri,
        pair.target.uri,
        table="orders",
        target_table="few",
        columns=["id", "note"],
        rename={"note": "remark"},
        where="id < 3",
    )
    assert pair.target.rows("select id, remark from few order by id") == [(1, "first"), (2, "")]


def test_a_query_is_a_source(pair: Pair) -> None:
    pair.source.run(TABLE)
    query = "select id * 2 as double, note from orders where id <> 2 -- odd ones"
    arrowsync.copy(pair.source.uri, pair.target.uri, query=query, target_table="doubled")
    assert pair.target.rows("select double, note from doubled order by 1") == [
        (2, "first"),
        (6, "ünï 'q' 🎉"),
    ]


def test_a_copied_table_verifies_equal_and_a_changed_one_names_its_rows(pair: Pair) -> None:
    pair.source.run(TABLE)
    arrowsync.copy(pair.source.uri, pair.target.uri, table="orders")
    assert arrowsync.verify(pair.source.uri, pair.target.uri, table="orders").equal
    pair.target.run("update orders set note = 'x' where id = 2; delete from orders where id = 3")
    (check,) = arrowsync.verify(pair.source.uri, pair.target.uri, table="orders").tables
    assert (check.missing, check.extra, check.different) == (1, 0, 1)
    assert [(each.kind, each.key, each.columns) for each in check.examples] == [
        ("missing", {"id": "3"}, ()),
        ("different", {"id": "2"}, ("note",)),
    ]


def test_one_huge_value_a_row_copies_or_is_a_memory_error_that_names_the_row(pair: Pair) -> None:
    """A 64 MiB value costs about 285 MiB on its way: inside the default limit, outside the smallest."""
    kind, value = ("blob", "zeroblob(67108864)")
    if "postgresql" in pair.source.uri:
        kind, value = ("bytea", "decode(repeat('00', 67108864), 'hex')")
    pair.source.run(f"create table t (id bigint primary key, b {kind}); insert into t select 5, {value}")
    report = arrowsync.copy(pair.source.uri, pair.target.uri, table="t")
    assert report.rows_written == 1
    assert pair.target.rows("select id, length(b) from t") == [(5, 67_108_864)]
    small = arrowsync.Limits(memory="64 MiB")
    with pytest.raises((TransferError, MemoryLimitError), match="5") as caught:
        arrowsync.copy(pair.source.uri, pair.target.uri, table="t", target_table="small", limits=small)
    assert isinstance(caught.value.__cause__ or caught.value, MemoryLimitError)


def test_foreign_keys_that_rows_break_are_named_and_hold_for_new_rows(pair: Pair) -> None:
    pair.source.run("create table parents (id bigint not null primary key); insert into parents values (1)")
    pair.source.run(
        "create table children (id bigint, parent bigint); insert into children values (1, 1), (2, 7)"
    )
    if "postgresql" in pair.source.uri:
        pair.source.run("alter table children add foreign key (parent) references parents (id) not valid")
    else:
        pair.source.run(
            "drop table children; create table children (id bigint, parent bigint references parents (id)); "
            "insert into children values (1, 1), (2, 7)"
        )
    report = arrowsync.copy(pair.source.uri, pair.target.uri)
    assert report.rows_written == 3
    into_postgresql_from_sqlite = "postgresql" in pair.target.uri and "postgresql" not in pair.source.uri
    assert report.status == ("partial" if into_postgresql_from_sqlite else "complete")
    if into_postgresql_from_sqlite:
        assert "broken by 1 row" in report.warnings[0]
        assert "not exists" in report.warnings[0]


NUMBERS = "create table t (id bigint not null primary key, n bigint); "
SIX_BECOMES_ZERO = """
create trigger spoils after insert on t when new.n = 6 begin update t set n = 0 where id = new.id; end
"""
SIX_BECOMES_ZERO_IN_POSTGRESQL = """
create function spoil() returns trigger language plpgsql as $$
begin if new.n = 6 then new.n := 0; end if; return new; end $$;
create trigger spoils before insert on t for each row execute function spoil()
"""


def run_trigger(pair: Pair) -> None:
    on_postgresql = "postgresql" in pair.target.uri
    pair.target.run(SIX_BECOMES_ZERO_IN_POSTGRESQL if on_postgresql else SIX_BECOMES_ZERO)


@pytest.mark.parametrize("there", ["", "insert into t values (1, 1)"], ids=["empty", "with-rows"])
def test_a_value_that_a_trigger_changes_is_found_when_appended_rows_are_verified(
    pair: Pair, there: str
) -> None:
    pair.source.run(NUMBERS + "insert into t values (5, 5), (6, 6), (7, 7)")
    pair.target.run(NUMBERS + there)
    run_trigger(pair)
    with pytest.raises(TransferError, match="id = 6" if there else "differ") as caught:
        arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode="append", verify="hash")
    assert isinstance(caught.value.__cause__, VerificationError)


def test_appended_rows_are_found_by_their_key_among_others(pair: Pair) -> None:
    pair.source.run(NUMBERS + "insert into t values (5, 5), (6, 6)")
    pair.target.run(NUMBERS + "insert into t values (1, 1)")
    report = arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode="append", verify="hash")
    assert (report.verified, report.warnings) == ("hash", ())


def test_a_row_in_quarantine_is_not_missed_by_the_verification_of_an_append(
    pair: Pair, tmp_path: Path
) -> None:
    pair.source.run(NUMBERS + "insert into t values (1, 5), (6, 6)")
    pair.target.run(NUMBERS + "insert into t values (1, 1)")
    report = arrowsync.copy(
        *(pair.source.uri, pair.target.uri),
        table="t",
        mode="append",
        verify="hash",
        quarantine=str(tmp_path / "quarantine"),
    )
    assert (report.status, report.rows_quarantined, report.verified) == ("partial", 1, "hash")


def test_appended_rows_without_a_key_are_counted_and_a_warning_says_so(pair: Pair) -> None:
    for place, row in ((pair.source, 2), (pair.target, 1)):
        place.run(f"create table t (n bigint); insert into t values ({row})")
    report = arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode="append", verify="hash")
    assert report.verified == "count"
    assert "needs a key" in report.warnings[0]


def test_the_key_that_is_given_finds_appended_rows_without_a_primary_key(pair: Pair) -> None:
    for place, row in ((pair.source, 2), (pair.target, 1)):
        place.run(f"create table t (n bigint); insert into t values ({row})")
    report = arrowsync.copy(
        pair.source.uri, pair.target.uri, table="t", mode="append", verify="hash", key="n"
    )
    assert (report.verified, report.warnings) == ("hash", ())


# -- partitions that do not cover each row once ------------------------------------------------------------


class Careless(SQLite):
    """Leaves a row out."""

    def partitions(self, connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
        return [Partition(0, "rowid", "rowid", None, "4"), Partition(1, "rowid", "rowid", "5", None)]


class Generous(PostgreSQL):
    """Reads a row twice."""

    def partitions(self, connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
        return [Partition(0, "key", "id", None, "6"), Partition(1, "key", "id", "5", None)]


NINE = "create table t (id integer); insert into t values (1), (2), (3), (4), (5), (6), (7), (8), (9)"


@pytest.mark.parametrize("mode", ["create", "append"])
def test_rows_that_no_partition_reads_are_noticed(
    sqlite_file: Callable[..., Path], tmp_path: Path, mode: str
) -> None:
    source, target = sqlite_file(NINE), tmp_path / "target.db"
    if mode == "append":
        arrowsync.copy(source, target, table="t", where="false")
    careless = Database(str(source), dialect=Careless())
    for _ in ("copied", "resumed"):
        with pytest.raises(TransferError, match="8 rows were read, but the source counts 9"):
            arrowsync.copy(careless, target, table="t", verify="hash", mode=mode)


def test_rows_that_two_partitions_read_are_noticed(
    postgresql: fix_postgresql.Database, tmp_path: Path
) -> None:
    postgresql.execute(NINE)
    source = Database(postgresql.uri, dialect=Generous())
    with pytest.raises(TransferError, match="9 rows were read, but the source counts 8"):
        arrowsync.copy(source, tmp_path / "target.db", table="t", where="id < 9", verify="hash")


# -- columns that the target computes ----------------------------------------------------------------------

GENERATED = "create table t (a bigint, b bigint generated always as (a * 2) stored)"


@pytest.mark.parametrize("mode", ["create", "append"])
def test_a_column_that_the_target_computes_does_not_swallow_the_source_s(pair: Pair, mode: str) -> None:
    pair.source.run("create table t (a bigint, b bigint); insert into t values (7, 99)")
    pair.target.run(GENERATED)
    for verb in (arrowsync.plan, arrowsync.copy):
        with pytest.raises(SchemaError, match=r"'b' is generated as .*--exclude b"):
            verb(pair.source.uri, pair.target.uri, table="t", mode=mode)
    assert pair.target.rows("select * from t") == []
    arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode=mode, exclude="b")
    assert pair.target.rows("select a, b from t") == [(7, 14)]


def test_a_column_that_both_sides_compute_alike_is_left_to_the_target(pair: Pair) -> None:
    pair.source.run(f"{GENERATED}; insert into t (a) values (7)")
    pair.target.run(GENERATED)
    arrowsync.copy(pair.source.uri, pair.target.uri, table="t", mode="append", verify="hash")
    assert pair.target.rows("select a, b from t") == [(7, 14)]


def test_each_statement_that_finishes_a_table_is_told_as_it_begins(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.source.run(
        "create table orders (id int primary key, a int, b int); insert into orders values (1, 2, 3); "
        "create index by_a on orders (a); create index by_b on orders (b)"
    )
    events: list[Event] = []
    planned = arrowsync.plan(pair.source.uri, pair.target.uri).tables[0].write.after
    report = arrowsync.copy(pair.source.uri, pair.target.uri, observer=events.append, progress=True)
    told = [event for event in events if isinstance(event, Publishing)]
    assert report.status == "complete"
    assert [event.statement for event in told] == list(planned)
    assert [(event.number, event.total) for event in told] == [
        (number, len(planned)) for number in range(1, len(planned) + 1)
    ]
    written = capsys.readouterr().err
    assert all(
        re.search(rf"orders: \d of \d: create index .*{name}", written, re.IGNORECASE)
        for name in ("by_a", "by_b")
    )
