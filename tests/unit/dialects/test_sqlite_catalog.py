"""Inspection finds what people wrote, and in tables of ours what the columns were before."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from arrowsync.core.table import Check, Column, ForeignKey, NativeType, Table, TableName
from arrowsync.dialects.sqlite import SQLite
from arrowsync.dialects.sqlite.sql import moved_index, parse_create_table, unquote
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import SchemaError
from tests.unit.dialects.routes import connect

SQLITE = SQLite()
Open = Callable[..., AdbcConnection]


@pytest.fixture
def opened(sqlite_file: Callable[..., Path]) -> Iterator[Open]:
    """A connection to a file made by the SQL given."""
    with ExitStack() as stack:

        def make(sql: str, name: str = "source.db") -> AdbcConnection:
            return stack.enter_context(connect(SQLITE, str(sqlite_file(sql, name)), read_only=True))

        yield make


def table(connection: AdbcConnection, name: str = "t") -> Table:
    [found] = SQLITE.describe(connection, [TableName(name)])
    return found


# -- names -------------------------------------------------------------------------------------------------


def test_tables_are_listed_without_those_of_sqlite_search_indexes_and_arrowsync(opened: Open) -> None:
    connection = opened(
        "create table b(id integer primary key autoincrement); create table A(x); create view v as select 1;"
        "create table arrowsync_receipts(x); create virtual table docs using fts5(body);"
        "create virtual table boxes using rtree(id, x0, x1); create table sqlitestuff(x); analyze"
    )
    assert [name.name for name in SQLITE.names(connection)] == ["A", "b", "boxes", "docs", "sqlitestuff"]
    assert "v" in [name.name for name in SQLITE.names(connection, views=True)]


@pytest.mark.parametrize("name", ['a"b', "a b", "select", "a.b", "täble 🎉", "a'b", "[x]", "{}", "%s", ""])
def test_any_name_can_be_described(opened: Open, name: str) -> None:
    quoted = SQLITE.quote(name)
    connection = opened(f"create table {quoted}({quoted} integer, b); insert into {quoted} values (7, 'x')")
    found = table(connection, name)
    assert [column.name for column in found.columns] == [name, "b"]
    assert found.rows == 1
    assert SQLITE.forms(connection, found)[name][0].select == quoted


def test_a_table_that_does_not_exist_is_left_out(opened: Open) -> None:
    assert SQLITE.describe(opened("create table t(a)"), [TableName("T"), TableName("u")]) == []


def test_a_target_name_is_spelled_as_the_table_that_is_there(opened: Open) -> None:
    connection = opened("create table Orders(a)")
    assert SQLITE.resolve_name(connection, TableName("orders", "public")) == TableName("Orders")
    assert SQLITE.resolve_name(connection, TableName("new", "public")) == TableName("new")


def test_columns_that_another_connection_added_are_seen(
    opened: Open, sqlite_file: Callable[..., Path]
) -> None:
    connection = opened("create table t(a)")
    assert len(table(connection).columns) == 1
    sqlite_file("alter table t add column b")
    assert len(table(connection).columns) == 2


# -- columns -----------------------------------------------------------------------------------------------


def test_columns_have_their_declared_types_defaults_and_collations(opened: Open) -> None:
    connection = opened(
        "create table t(a VARCHAR (20) not null default 'x,)' collate nocase, b, "
        "c double precision default (1 + 2))"
    )
    assert table(connection).columns == (
        Column("a", "VARCHAR (20)", NativeType("sqlite", "VARCHAR (20)"), False, "'x,)'", collation="nocase"),
        Column("b", "", NativeType("sqlite", "")),
        Column("c", "double precision", NativeType("sqlite", "double precision"), default="1 + 2"),
    )


def test_generated_columns_are_marked_and_their_expression_kept(opened: Open) -> None:
    found = table(opened("create table t(a int, b int generated always as (a + 1) stored, c as (')' || a))"))
    assert [column.generated for column in found.columns] == [None, "a + 1", "')' || a"]


def test_the_alias_of_the_rowid_numbers_its_rows(opened: Open) -> None:
    connection = opened(
        "create table alias(id INTEGER PRIMARY KEY, x); create table backwards(id INTEGER PRIMARY KEY DESC);"
        "create table other(id INT PRIMARY KEY); create table without(id INTEGER PRIMARY KEY) without rowid"
    )
    found = {name: table(connection, name).columns[0] for name in ("alias", "backwards", "other", "without")}
    assert {name: column.identity for name, column in found.items()} == {
        "alias": "by default", "backwards": None, "other": None, "without": None,
    }  # fmt: skip
    # The key of an ordinary table may hold NULL: SQLite keeps an old mistake.
    assert {name: column.nullable for name, column in found.items()} == {
        "alias": False, "backwards": True, "other": True, "without": False,
    }  # fmt: skip


def test_a_table_of_ours_tells_the_types_its_columns_had(opened: Open) -> None:
    found = table(opened(
        'create table t(/* arrowsync */ id INTEGER /* int4 */ primary key, n "TEXT numeric(38,10)", b BLOB, '
        'm "TEXT other.U&""ma\\0069ntenance""", f "float8", note VARCHAR(20))'
    ))  # fmt: skip
    origins = [(column.origin.dialect, column.origin.name) for column in found.columns]
    assert origins == [
        ("postgresql", "integer"),
        ("postgresql", "numeric(38,10)"),
        ("postgresql", "bytea"),
        ("postgresql", "other.maintenance"),
        ("postgresql", "double precision"),
        ("sqlite", "VARCHAR(20)"),
    ]
    assert found.columns[0].identity is None


def test_the_current_time_of_a_table_of_ours_is_told_as_what_it_was(opened: Open) -> None:
    now = "(strftime('%Y-%m-%d %H:%M:%f000Z', 'now'))"
    found = table(
        opened(
            f'create table t(/* arrowsync */ a "timestamp with time zone" default {now}, b "int4" default 7)'
        )
    )
    assert [column.default for column in found.columns] == ["current_timestamp", "7"]


def test_the_mark_survives_alter_table(opened: Open) -> None:
    found = table(opened(
        'create table s(/* arrowsync */ a "int4", b "int8"); alter table s add column c "int2";'
        "alter table s rename to t; alter table t rename column a to z; alter table t drop column b"
    ))  # fmt: skip
    assert [(column.name, column.origin.name) for column in found.columns] == [
        ("z", "integer"),
        ("c", "smallint"),
    ]


# -- constraints -------------------------------------------------------------------------------------------

SCHEMA = """
create table p(a int, b int, primary key (b, a)) without rowid;
create table t(
  id integer constraint "the key" primary key autoincrement,
  u text constraint one unique,
  a int check (a > 0 and a < 10), -- a comment, with (brackets
  b int not null,
  parent int references t(id) on delete set null,
  constraint "a, b" unique (b, a),
  constraint positive check (b >= 0),
  constraint up foreign key (a, b) references p on update cascade on delete no action
    deferrable initially deferred
);
create index plain on t(b, a desc);
create unique index part on t(a) where a is not null;
create index computed on t(lower(u));
"""


def test_keys_keep_their_names_and_the_order_of_their_columns(opened: Open) -> None:
    connection = opened(SCHEMA)
    found = table(connection)
    assert found.primary_key
    assert (found.primary_key.name, found.primary_key.columns) == ("the key", ("id",))
    assert [(key.name, key.columns) for key in found.unique] == [("one", ("u",)), ("a, b", ("b", "a"))]
    parent_key = table(connection, "p").primary_key
    assert parent_key
    assert parent_key.columns == ("b", "a")


def test_checks_keep_their_names_and_expressions(opened: Open) -> None:
    assert [(check.name, check.expression) for check in table(opened(SCHEMA)).checks] == [
        (None, "a > 0 and a < 10"),
        ("positive", "b >= 0"),
    ]


def test_foreign_keys_are_whole_and_an_unnamed_key_is_the_parents(opened: Open) -> None:
    assert table(opened(SCHEMA)).foreign_keys == (
        ForeignKey(None, ("parent",), TableName("t"), ("id",), "set null"),
        ForeignKey("up", ("a", "b"), TableName("p"), ("b", "a"), "no action", "cascade", "deferred"),
    )


def test_indexes_tell_order_condition_and_definition(opened: Open) -> None:
    plain, part, computed = table(opened(SCHEMA)).indexes
    assert (plain.columns, plain.descending, plain.unique) == (("b", "a"), (False, True), False)
    assert (part.columns, part.where, part.unique) == (("a",), "a is not null", True)
    assert (computed.columns, computed.definition) == ((), "CREATE INDEX computed on t(lower(u))")


def test_a_view_has_its_columns_and_its_sql(opened: Open) -> None:
    found = table(opened("create table t(a DATE, b); create view v as select a, b, a || b as ab from t"), "v")
    assert (found.kind, found.rows, found.definition) == (
        "view",
        None,
        "CREATE VIEW v as select a, b, a || b as ab from t",
    )
    assert [(column.name, column.type) for column in found.columns][:1] == [("a", "DATE")]


def test_a_view_of_what_is_gone_is_an_error_that_names_it(opened: Open) -> None:
    connection = opened("create table t(a); create view broken as select * from gone")
    with pytest.raises(SchemaError, match=r"no such table: main\.gone \(table broken\)"):
        table(connection, "broken")


def test_a_query_is_described_without_leaving_a_trace(opened: Open) -> None:
    connection = opened("create table t(a DATE, b int)")
    found = SQLITE.describe_query(
        connection, TableName("q"), 'select a as "the day", count(*) n from t group by 1; '
    )
    assert [(column.name, column.type) for column in found.columns] == [("the day", "DATE"), ("n", "")]
    assert found.kind == "query"
    assert SQLITE.describe_query(connection, TableName("q"), "select 1 as x").columns[0].name == "x"


# -- sizes -------------------------------------------------------------------------------------------------


def test_rows_are_counted_and_bytes_estimated(opened: Open) -> None:
    found = table(opened(
        "create table t(id integer primary key, note text);"
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)"
        "insert into t select i, hex(zeroblob(50)) from n"
    ))  # fmt: skip
    assert (found.rows, found.rows_exact) == (1000, True)
    assert found.bytes == 1000 * 108


def test_an_empty_table_has_no_rows(opened: Open) -> None:
    found = table(opened("create table t(a)"))
    assert (found.rows, found.bytes) == (0, 0)


def test_a_table_of_two_thousand_columns_is_described(opened: Open) -> None:
    columns = ", ".join(f"c{number} int default {number}" for number in range(2000))
    found = table(opened(f"create table t({columns})"))
    assert len(found.columns) == 2000
    assert found.columns[1999].default == "1999"


# -- reading SQL -------------------------------------------------------------------------------------------


def test_create_table_is_read_through_comments_quotes_and_brackets() -> None:
    made = parse_create_table(
        'CREATE TABLE "x (y"(/* arrowsync */ id INTEGER /* int4 */ PRIMARY KEY, -- the id, (really)\n'
        " [d e] text CONSTRAINT `c``k` CHECK ([d e] <> ')') COLLATE \"NOCASE\", 'q' int NOT NULL REFERENCES "
        "p(a) ON DELETE SET NULL NOT DEFERRABLE UNIQUE, g GENERATED ALWAYS AS (\"d e\" || ','), "
        "FOREIGN KEY (q) REFERENCES r)"
    )
    assert made.marked
    assert made.comments == {"id": "int4"}
    assert made.collations == {"d e": "NOCASE"}
    assert made.generated == {"g": "\"d e\" || ','"}
    assert [(c.kind, c.name, c.columns) for c in made.constraints] == [
        ("PRIMARY", None, ("id",)),
        ("CHECK", "c`k", ("d e",)),
        ("REFERENCES", None, ("q",)),
        ("UNIQUE", None, ("q",)),
        ("REFERENCES", None, ("q",)),
    ]
    assert made.constraints[2].text == "REFERENCES p(a) ON DELETE SET NULL NOT DEFERRABLE"


def test_a_virtual_table_has_nothing_to_tell() -> None:
    assert not parse_create_table("CREATE VIRTUAL TABLE d USING fts5(a, b UNINDEXED)").constraints


@pytest.mark.parametrize(
    ("quoted", "name"),
    [('"a""b"', 'a"b'), ("`a``b`", "a`b"), ("[a b]", "a b"), ("'a''b'", "a'b"), ("plain", "plain")],
)
def test_names_lose_their_quotes(quoted: str, name: str) -> None:
    assert unquote(quoted) == name


def test_an_index_moves_to_another_table_with_all_it_says() -> None:
    sql = "CREATE UNIQUE INDEX IF NOT EXISTS \"on\" ON [old one] (lower(a) DESC) WHERE a <> 'on'"
    assert moved_index(sql, "new on", "t") == (
        'create unique index "new on" on "t" (lower(a) DESC) WHERE a <> \'on\''
    )


def test_checks_compare_by_what_they_say(opened: Open) -> None:
    [check] = table(opened("create table t(a check (a in (1, 2)))")).checks
    assert check == Check(None, "a in (1, 2)", definition="check (a in (1, 2))")
