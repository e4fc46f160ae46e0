"""What inspection finds in a PostgreSQL database, and how a table is cut into partitions."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.postgresql.partitions import ranges
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ConfigError
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import connect

PG = PostgreSQL()


@pytest.fixture
def source(postgresql: Database) -> Iterator[AdbcConnection]:
    with connect(PG, postgresql.uri, read_only=True) as connection:
        yield connection


def find(source: AdbcConnection, name: str, schema: str | None = None) -> Table:
    return PG.describe(source, [TableName(name, schema)])[0]


# -- names -------------------------------------------------------------------------------------------------


def test_names_are_the_tables_that_users_made(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create table plain (a int); create schema s; create table s.\"Odd 'N'ame\" (a int); "
        "create table parent (a int) partition by range (a); "
        "create table child partition of parent for values from (0) to (9); "
        "create table base (a int); create table heir (b int) inherits (base); "
        "create view seen as select 1 as a; create materialized view kept as select 1 as a; "
        "create schema arrowsync; create table arrowsync.receipts (a int); "
        "create table arrowsync_transfers (a int)"
    )
    tables = ["base", "heir", "parent", "plain"]
    assert PG.names(source) == [*(TableName(n, "public") for n in tables), TableName("Odd 'N'ame", "s")]
    assert {TableName("seen", "public"), TableName("kept", "public")} == {*PG.names(source, views=True)} - {
        *PG.names(source)
    }


def test_a_table_that_does_not_exist_is_left_out(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute('create table t (a int); create table "T" (a int)')
    wanted = [TableName("nowhere"), TableName("T", "public"), TableName("t", "nowhere"), TableName("t")]
    assert [table.name for table in PG.describe(source, wanted)] == [
        TableName("T", "public"),
        TableName("t", "public"),
    ]


def test_a_name_without_schema_follows_the_search_path(postgresql: Database) -> None:
    postgresql.execute(f"create schema app; alter database {postgresql.name} set search_path = app, public")
    postgresql.execute("create table t (a int)")
    with connect(PG, postgresql.uri, read_only=True) as source:
        assert find(source, "t").name == TableName("t", "app")
        assert source.rows("select current_schema()") == [("app",)]


# -- columns and keys --------------------------------------------------------------------------------------


def test_types_of_users_bear_their_schema_and_builtin_ones_do_not(
    postgresql: Database, source: AdbcConnection
) -> None:
    postgresql.execute(
        "create type mood as enum ('a'); create domain zip as varchar(5); create domain zips as zip; "
        'create table t (a mood, b mood[], c zips, d numeric(10,2), e timestamp(3)[], f "char", g bpchar, '
        "h bit)"
    )
    table = find(source, "t")
    assert [column.type for column in table.columns] == [
        *("public.mood", "public.mood[]", "public.zips", "numeric(10,2)"),
        *("timestamp(3) without time zone[]", '"char"', "bpchar", "bit(1)"),
    ]
    assert table.column("c").base == "character varying(5)"
    assert [(type.name, type.kind, type.base) for type in table.types] == [
        ("public.mood", "enum", None),
        ("public.zip", "domain", None),
        ("public.zips", "domain", "character varying(5)"),
    ]


def test_a_foreign_key_pairs_its_columns(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create table p (a int, b int, unique (b, a)); "
        "create table c (q int, p int, foreign key (q, p) references p (b, a) on delete cascade "
        "on update set null deferrable initially deferred)"
    )
    (key,) = find(source, "c").foreign_keys
    assert (key.columns, key.referenced) == (("q", "p"), ("b", "a"))
    assert (key.on_delete, key.on_update, key.deferrable) == ("cascade", "set null", "deferred")
    assert key.references == TableName("p", "public")


def test_dropped_columns_are_no_columns(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t (a int, b int, c int, unique (c, a)); alter table t drop b")
    table = find(source, "t")
    assert [column.name for column in table.columns] == ["a", "c"]
    assert table.unique[0].columns == ("c", "a")


def test_views_are_described_with_their_definition(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t (a int); create view v as select a + 1 as b from t")
    table = find(source, "v")
    assert (table.kind, [column.type for column in table.columns]) == ("view", ["integer"])
    assert "public.t" in (table.definition or "")


def test_a_query_is_described_by_its_columns(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create type mood as enum ('a'); create table t (a mood, b numeric(10,2), c int4range)"
    )
    query = 'select *, 1 as "D d", null as e, array[1] as f from t -- a comment; with a semicolon;'
    table = PG.describe_query(source, TableName("q"), query)
    assert [(column.name, column.type) for column in table.columns] == [
        *(("a", "public.mood"), ("b", "numeric(10,2)"), ("c", "int4range")),
        *(("D d", "integer"), ("e", "text"), ("f", "integer[]")),
    ]
    assert (table.kind, table.types[0].name) == ("query", "public.mood")
    assert table.rows is not None


def test_a_query_with_two_columns_of_one_name_is_a_config_error(source: AdbcConnection) -> None:
    with pytest.raises(ConfigError, match="'a'"):
        PG.describe_query(source, TableName("q"), "select 1 as a, 2 as a")


# -- sizes -------------------------------------------------------------------------------------------------


def test_a_small_table_is_counted(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t as select generate_series(1, 1000) as a; create table empty (a int)")
    counted = [
        (table.rows, table.rows_exact) for table in PG.describe(source, [TableName("t"), TableName("empty")])
    ]
    assert counted == [(1000, True), (0, True)]


@pytest.mark.parametrize("analyze", ["analyze t", "select 1"])
def test_a_large_table_is_estimated(postgresql: Database, source: AdbcConnection, analyze: str) -> None:
    postgresql.execute("create table t as select n, 'some text' as a from generate_series(1, 60000) n")
    postgresql.execute(analyze)
    table = find(source, "t")
    assert not table.rows_exact
    assert 40_000 < (table.rows or 0) < 80_000
    assert 2_000_000 < (table.bytes or 0) < 4_000_000


def test_a_partitioned_table_has_the_rows_and_bytes_of_its_partitions(
    postgresql: Database, source: AdbcConnection
) -> None:
    postgresql.execute(
        "create table t (a int, b text) partition by range (a); "
        "create table t1 partition of t for values from (0) to (100) partition by list (b); "
        "create table t11 partition of t1 default; create table t2 partition of t default; "
        "insert into t select n, 'x' from generate_series(1, 300) n"
    )
    table = find(source, "t")
    assert (table.rows, table.rows_exact) == (300, True)
    assert (table.bytes or 0) >= 2 * 8192
    assert table.partition_key == "RANGE (a)"


def test_the_large_values_of_a_table_count(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create table t as select string_agg(md5(n::text), '') as a from generate_series(1, 100000) n"
    )
    assert (find(source, "t").bytes or 0) > 2_000_000


def test_a_table_that_may_not_be_read_is_still_described(
    postgresql: Database, new_role: Callable[[str], str]
) -> None:
    role = new_role("secret")
    postgresql.execute("create table t (a int, b serial)")
    uri = postgresql.server.uri(postgresql.name, user=role, password="secret")
    with connect(PG, uri, read_only=True) as source:
        table = find(source, "t", "public")
        assert [column.name for column in table.columns] == ["a", "b"]
        assert not table.rows_exact


# -- partitions --------------------------------------------------------------------------------------------

MiB = 1 << 20


def cut(source: AdbcConnection, name: str, size: int = MiB // 4) -> list[Partition]:
    return PG.partitions(source, find(source, name), size)


def covered(source: AdbcConnection, name: str, partitions: list[Partition]) -> list[int]:
    """Rows of each partition; together they must be each row once."""
    table = find(source, name)
    plan = TablePlan(Transfer.of("a", "b"), table, table, ())
    froms = [PG.select(plan, partition).removeprefix("select ") for partition in partitions]
    counts = [int(source.rows(f"select count(*) {body}")[0][0]) for body in froms]
    everything = " union all ".join(f"select tableoid, ctid {body}" for body in froms)
    assert source.rows(f"select count(distinct (tableoid, ctid)) from ({everything}) as x")[0][0] == sum(
        counts
    )
    return counts


def test_a_small_table_is_one_partition(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t (a int primary key)")
    assert cut(source, "t") == [Partition(0)]


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("bigint", "n"),
        ("int", "n * 1000 - 5000000"),
        ("date", "date '2000-01-01' + n"),
        ("timestamp", "timestamp '1999-12-31 23:00' + n * interval '1 second'"),
        ("timestamptz", "timestamptz '1999-12-31 23:00' + n * interval '1 second'"),
        ("uuid", "lpad(to_hex(n), 32, '0')::uuid"),
    ],
)
def test_a_correlated_key_gives_ranges_of_equal_size(
    postgresql: Database, source: AdbcConnection, type: str, value: str
) -> None:
    postgresql.execute(
        f'create table t ("K k" {type} primary key, x text); '
        f"insert into t select {value}, 'some text' from generate_series(1, 20000) n; analyze t"
    )
    partitions = cut(source, "t")
    assert {partition.by for partition in partitions} == {"key"}
    assert (partitions[0].lower, partitions[-1].upper) == (None, None)
    counts = covered(source, "t", partitions)
    assert sum(counts) == 20000
    assert len(counts) >= 4
    assert max(counts) < 2 * min(counts)


def test_more_ranges_than_the_histogram_has_bounds(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create table t (k int primary key, x text); "
        "insert into t select n, repeat('x', 900) from generate_series(1, 20000) n; analyze t"
    )
    counts = covered(source, "t", cut(source, "t", 1 << 16))
    assert sum(counts) == 20000
    assert len(counts) > 200
    assert max(counts) < 3 * min(counts)


def test_a_table_that_grew_since_it_was_analyzed_is_cut_to_its_end(
    postgresql: Database, source: AdbcConnection
) -> None:
    postgresql.execute(
        "create table t (k int primary key, x text) with (autovacuum_enabled = off); "
        "insert into t select n, 'some text' from generate_series(1, 2000) n; analyze t; "
        "insert into t select n, 'some text' from generate_series(2001, 20000) n"
    )
    counts = covered(source, "t", cut(source, "t"))
    assert sum(counts) == 20000
    assert max(counts) < 2 * min(counts)


def test_a_table_that_was_emptied_since_it_was_analyzed_is_read_whole(
    postgresql: Database, source: AdbcConnection
) -> None:
    postgresql.execute(
        "create table t (k int primary key, x text) with (autovacuum_enabled = off); "
        "insert into t select n, 'some text' from generate_series(1, 2000) n; analyze t; "
        "insert into t select n, 'some text' from generate_series(2001, 20000) n; delete from t"
    )
    assert cut(source, "t") == [Partition(0)]


@pytest.mark.parametrize(
    "table",
    [
        "create table t (k int primary key, x text); insert into t select n, 'some text' "
        "from generate_series(1, 20000) n order by md5(n::text); analyze t",
        "create table t (k int, x text); "
        "insert into t select n, 'some text' from generate_series(1, 20000) n",
        "create table t (k text primary key, x text); "
        "insert into t select n, 'some text' from generate_series(1, 20000) n",
        "create table t (k int primary key, x text) with (autovacuum_enabled = off); "
        "insert into t select n, 'some text' from generate_series(1, 20000) n",
    ],
    ids=["uncorrelated", "no key", "text key", "never analyzed"],
)
def test_without_a_good_key_ctid_gives_ranges(
    postgresql: Database, source: AdbcConnection, table: str
) -> None:
    postgresql.execute(table)
    partitions = cut(source, "t")
    assert {partition.by for partition in partitions} == {"ctid"}
    counts = covered(source, "t", partitions)
    assert sum(counts) == 20000
    assert max(counts) < 2 * min(counts)


def test_an_inheritance_parent_gives_its_own_rows_only(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute(
        "create table t (a int); create table u () inherits (t); "
        "insert into t values (1); insert into u values (2)"
    )
    assert covered(source, "t", cut(source, "t")) == [1]


def test_views_are_read_whole(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t as select generate_series(1, 50000) as a; create view v as table t")
    assert cut(source, "v") == [Partition(0)]


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("int", "{}"),
        ("bigint", "{} - 5"),
        ("date", "date '2024-01-01' + {}"),
        ("timestamptz", "timestamptz '2024-01-01 00:00+00' + {} * interval '1 h'"),
    ],
)
def test_a_table_partitioned_by_ranges_is_cut_where_its_partitions_begin(
    postgresql: Database, source: AdbcConnection, type: str, value: str
) -> None:
    postgresql.execute(f'create table t ("K k" {type}, x text) partition by range ("K k")')
    for low, high in [(0, 5000), (5000, 9000), (9000, 15000)]:
        ends = f"from ({value.format(low)}) to ({value.format(high)})"
        postgresql.execute(f"create table t{low} partition of t for values {ends}")
    postgresql.execute(
        "create table rest partition of t default; insert into t values (null, 'no key'); "
        f"insert into t select {value.format('n')}, 'some text' from generate_series(0, 19999) n"
    )
    partitions = cut(source, "t", MiB // 3)
    assert [partition.by for partition in partitions] == ["key"] * len(partitions)
    assert len(partitions) > 2
    assert sum(covered(source, "t", partitions)) == 20001


@pytest.mark.parametrize("nullable", ["", "not null"])
def test_a_table_whose_partition_key_is_left_out_is_cut_by_it_all_the_same(
    postgresql: Database, source: AdbcConnection, nullable: str
) -> None:
    postgresql.execute(
        f"create table t (k int {nullable}, x text) partition by range (k); "
        "create table t1 partition of t for values from (0) to (5000); "
        "create table t2 partition of t for values from (5000) to (9000); "
        "create table rest partition of t default; "
        "insert into t select n, 'some text' from generate_series(0, 19999) n"
    )
    if not nullable:
        postgresql.execute("insert into t values (null, 'no key')")
    table = find(source, "t")
    narrow = replace(table, columns=table.columns[1:])
    partitions = PG.partitions(source, narrow, MiB // 3)
    plan = TablePlan(Transfer.of("a", "b"), narrow, narrow, ())
    froms = [PG.select(plan, partition).removeprefix("select ") for partition in partitions]
    counts = [source.rows(f"select count(*) {body}")[0][0] for body in froms]
    assert len(counts) > 1
    assert sum(counts) == 20000 + (not nullable)


@pytest.mark.parametrize(
    "begins",
    [
        ["0200-01-01 BC", "0100-01-01 BC", "0044-03-15 BC", "0001-01-01 BC"],
        ["0009-01-01", "0100-01-01 BC", "9999-01-01", "10000-01-01", "0001-01-01 BC"],
    ],
)
def test_a_table_partitioned_by_dates_is_cut_in_the_servers_order(
    postgresql: Database, source: AdbcConnection, begins: list[str]
) -> None:
    postgresql.execute(
        "create table t (d date, x text) partition by range (d); create table rest partition of t default"
    )
    for number, begin in enumerate(begins):
        postgresql.execute(
            f"create table t{number} partition of t for values from ('{begin}') to (date '{begin}' + 300); "
            f"insert into t select date '{begin}' + n % 300, 'some text' from generate_series(1, 2000) n"
        )
    partitions = cut(source, "t", MiB // 16)
    assert len(partitions) > 3
    assert sum(covered(source, "t", partitions)) == 2000 * len(begins)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("hash (a)", "for values with (modulus 1, remainder 0)"),
        ("list (a)", "default"),
        ("range ((a % 10))", "default"),
        ("range (a, b)", "default"),
        ("range (a)", "for values from (minvalue) to (maxvalue)"),
    ],
)
def test_a_table_partitioned_otherwise_is_read_whole(
    postgresql: Database, source: AdbcConnection, key: str, values: str
) -> None:
    postgresql.execute(
        f"create table t (a int, b int) partition by {key}; create table t1 partition of t {values}; "
        "insert into t select n, n from generate_series(1, 20000) n"
    )
    assert cut(source, "t") == [Partition(0)]
    assert covered(source, "t", cut(source, "t")) == [20000]


def test_a_condition_narrows_every_partition(postgresql: Database, source: AdbcConnection) -> None:
    postgresql.execute("create table t (a int primary key); insert into t select generate_series(1, 9)")
    table = find(source, "t")
    plan = TablePlan(Transfer.of("a", "b"), table, table, (), where="a < 3 or a = 9 -- a comment")
    halves = [PG.select(plan, part).removeprefix("select ") for part in ranges("key", "a", ["5"])]
    assert [source.rows(f"select array_agg(a) {half}")[0][0] for half in halves] == [[1, 2], [9]]


def test_one_snapshot_is_seen_by_all_who_join_it(postgresql: Database) -> None:
    postgresql.execute("create table t (a int); insert into t values (1)")
    with (
        connect(PG, postgresql.uri, read_only=True) as first,
        connect(PG, postgresql.uri, read_only=True) as second,
    ):
        for statement in PG.capabilities.begin_snapshot:
            first.run(statement)
        token = first.rows(PG.capabilities.export_snapshot or "")[0][0]
        postgresql.execute("insert into t values (2)")
        for statement in PG.join_snapshot(token):
            second.run(statement)
        assert second.rows("select count(*) from t") == [(1,)]
