"""What a new PostgreSQL table has of the old one: compared by the catalogue, on real servers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest

import arrowsync
from arrowsync.core.plan import Form, TablePlan
from arrowsync.core.table import Check, Column, ForeignKey, Index, Key, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import ArrowsyncError, SchemaError
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import conformed, connect, copy, plan_for, plan_of, planned, write

PG = PostgreSQL()
SHOP = """
create schema shop;
create extension if not exists citext;
create type shop.mood as enum ('sad', 'it''s ok', 'happy');
create domain shop.price as numeric(12,4) default 1 constraint positive check (value >= 0);
create type shop.pair as (a int, "B b" shop.mood);
create type shop.span as range (subtype = float8, subtype_diff = float8mi);
create function shop.stamp() returns trigger language plpgsql as 'begin return new; end';
create table shop."Customers" (
    id int generated always as identity (start with 5 increment by 5) primary key,
    "e-mail" citext not null unique,
    name text collate "C" not null default 'nobody''s',
    mood shop.mood default 'sad',
    paid shop.price,
    pairs shop.pair[],
    spans shop.span,
    referrer int references shop."Customers" on delete set null deferrable initially deferred,
    born date default current_date,
    twice numeric generated always as (paid * 2) stored,
    constraint "grown up" check (born < '2100-01-01'),
    unique nulls not distinct (name, born)
);
create index on shop."Customers" (lower(name)) where mood = 'happy';
create index "by ""born"" first" on shop."Customers" using btree (born desc nulls last, name) include (mood);
create unique index one_referrer on shop."Customers" (referrer, id);
create index hashed on shop."Customers" using hash (name);
comment on table shop."Customers" is 'who buys; it''s them';
comment on column shop."Customers".mood is 'of the day';
comment on constraint "grown up" on shop."Customers" is 'a rule';
comment on index shop.hashed is 'for equality';
create table shop.orders (
    id bigserial, line smallint not null, customer int not null,
    total numeric(10,2) not null check (total > 0), note varchar(20),
    primary key (line, id),
    foreign key (customer) references shop."Customers" (id) match full on update cascade,
    exclude using gist (int4range(line, line + 1) with &&)
);
insert into shop."Customers" ("e-mail", name, paid, mood)
    values ('a@b', 'Ann', 1.5, 'happy'), ('C@d', 'Ben', 2, null);
insert into shop.orders (line, customer, total) select n, 5, n from generate_series(1, 10) n;
"""


@pytest.fixture
def shops(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    if source.server.version < 15:
        pytest.skip("the schema uses NULLS NOT DISTINCT")
    source.execute(SHOP)
    target.execute("create extension citext; create schema shop")
    return source, target


@contextmanager
def connections(source: Database, target: Database) -> Iterator[tuple[AdbcConnection, AdbcConnection]]:
    with (
        connect(PG, source.uri, read_only=True) as reader,
        connect(PG, target.uri, read_only=False) as writer,
    ):
        yield reader, writer


def transfer(source: Database, target: Database, *names: TableName, **asked: object) -> list[TablePlan]:
    """Copy the tables with everything that belongs to them."""
    with connections(source, target) as (reader, writer):
        plans = [plan_of(reader, writer, name, name, **asked) for name in names]
        for plan in plans:
            finish(reader, writer, plan)
        for plan in plans:
            for reference in plan.references:
                writer.run(reference.add)
    return plans


def described(database: Database, *names: TableName) -> list[Table]:
    with connect(PG, database.uri, read_only=True) as connection:
        return [replace(table, rows=None, bytes=None) for table in PG.describe(connection, names)]


CUSTOMERS, ORDERS = TableName("Customers", "shop"), TableName("orders", "shop")


def test_a_copied_schema_compares_equal_by_catalogue(shops: tuple[Database, Database]) -> None:
    source, target = shops
    plans = transfer(source, target, CUSTOMERS, ORDERS)
    assert described(target, CUSTOMERS, ORDERS) == described(source, CUSTOMERS, ORDERS)
    assert not [warning for plan in plans for warning in plan.warnings]


def test_a_copied_sequence_goes_on_after_the_last_value(shops: tuple[Database, Database]) -> None:
    source, target = shops
    transfer(source, target, CUSTOMERS, ORDERS)
    for database in (source, target):
        database.execute("insert into shop.\"Customers\" (\"e-mail\", name) values ('x@y', 'Zoe')")
        database.execute("insert into shop.orders (line, customer, total) values (99, 5, 1)")
    for query in ('select max(id) from shop."Customers"', "select max(id) from shop.orders"):
        assert target.execute(query) == source.execute(query)


def test_a_copy_under_another_name_stands_beside_its_origin(shops: tuple[Database, Database]) -> None:
    source, _ = shops
    again = TableName("Customers 2", "shop")
    with connections(source, source) as (reader, writer):
        plan = plan_of(reader, writer, CUSTOMERS, again)
        finish(reader, writer, plan)
        writer.run(plan.references[0].add)
    made = described(source, again)[0]
    assert made.primary_key is not None
    assert made.primary_key.name == "Customers 2_pkey"
    assert {index.name for index in made.indexes} == {
        "Customers 2_idx",
        "Customers 2_born_name_idx",
        "Customers 2_idx1",
        "Customers 2_referrer_id_idx",
    }
    assert made.columns[0].serial is not None
    assert made.columns[0].serial.name.name == "Customers 2_id_seq"
    assert made.foreign_keys[0].references == again
    assert source.execute('select count(*), sum(twice) from shop."Customers 2"') == [(2, 7)]


def finish(reader: AdbcConnection, writer: AdbcConnection, plan: TablePlan) -> None:
    for statement in plan.write.before:
        writer.run(statement)
    copy(reader, writer, plan)
    for statement in plan.write.after:
        writer.run(statement)


def test_columns_left_out_take_their_keys_with_them_and_the_plan_says_so(
    shops: tuple[Database, Database],
) -> None:
    source, target = shops
    with connections(source, target) as (reader, writer):
        whole = PG.describe(reader, [CUSTOMERS])[0]
        kept = tuple(c for c in whole.columns if c.name not in ("born", "referrer"))
        plan = plan_for(reader, writer, replace(whole, columns=kept), CUSTOMERS)
        finish(reader, writer, plan)
    made = described(target, CUSTOMERS)[0]
    assert [index.name for index in made.indexes] == ["Customers_lower_idx", "hashed"]
    assert (made.checks, made.foreign_keys, len(made.unique)) == ((), (), 1)
    assert "check 'grown up' is not carried over" in plan.warnings
    assert "index 'one_referrer' is not carried over" in plan.warnings


def test_renamed_columns_keep_their_keys_and_lose_their_expressions(shops: tuple[Database, Database]) -> None:
    source, target = shops
    names = {"name": "Full name", "paid": "spent", "id": "key"}
    with connections(source, target) as (reader, writer):
        plan = plan_of(reader, writer, CUSTOMERS, CUSTOMERS, rename=names)
        finish(reader, writer, plan)
        writer.run(plan.references[0].add)
    made = described(target, CUSTOMERS)[0]
    assert [column.name for column in made.columns][:3] == ["key", "e-mail", "Full name"]
    assert made.primary_key is not None
    assert made.primary_key.columns == ("key",)
    assert made.foreign_keys[0].referenced == ("key",)
    assert made.column("twice").generated is None
    assert target.execute('select sum(twice), sum(spent) from shop."Customers"') == [(7, 3.5)]
    assert any("twice" in warning for warning in plan.warnings)


# -- replace -----------------------------------------------------------------------------------------------


def test_replace_swaps_in_a_table_with_the_names_of_its_parts(shops: tuple[Database, Database]) -> None:
    source, target = shops
    target.execute("create extension if not exists citext")
    transfer(source, target, CUSTOMERS, ORDERS)
    source.execute("insert into shop.orders (line, customer, total) values (77, 5, 11)")
    plans = transfer(source, target, ORDERS, mode="replace")
    assert plans[0].write_table.name.startswith("arrowsync_")
    assert described(target, CUSTOMERS, ORDERS) == described(source, CUSTOMERS, ORDERS)
    assert target.execute("select count(*) from shop.orders") == [(11,)]
    names = target.execute("select count(*) from pg_class where relname like 'arrowsync%'")
    assert names == [(0,)]


def test_replace_keeps_owner_rights_triggers_policies_and_comment(
    shops: tuple[Database, Database], new_role: Callable[[str], str]
) -> None:
    source, target = shops
    owner, friend = new_role("secret"), new_role("secret")
    source.execute("create table shop.t (id int); insert into shop.t values (1), (2)")
    target.execute(
        "create table shop.t (id int); comment on table shop.t is 'old'; create function shop.stamp() "
        "returns trigger language plpgsql as 'begin return new; end'; "
        "create trigger stamps before insert on shop.t for each row execute function shop.stamp(); "
        "alter table shop.t disable trigger stamps; "
        f"grant select on shop.t to public; grant insert, update on shop.t to {friend} with grant option; "
        "alter table shop.t enable row level security; "
        f"create policy mine on shop.t as restrictive for update to {friend} "
        "using (id > 0) with check (id > 1); "
        f"alter table shop.t owner to {owner}; insert into shop.t values (9)"
    )
    before = bearings(target)
    transfer(source, target, TableName("t", "shop"), mode="replace")
    assert bearings(target) == before
    assert target.execute("select id from shop.t order by id") == [(1,), (2,)]


def bearings(database: Database) -> list[tuple[Any, ...]]:
    return database.execute(
        "select pg_get_userbyid(relowner), obj_description(c.oid, 'pg_class'), relrowsecurity, "
        "(select array_agg(a::text order by a::text) from unnest(relacl) a), "
        "(select array_agg(pg_get_triggerdef(t.oid) || tgenabled::text) from pg_trigger t "
        "where tgrelid = c.oid), "
        "(select array_agg(row(polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), "
        "pg_get_expr(polwithcheck, polrelid))::text) from pg_policy where polrelid = c.oid) "
        "from pg_class c where oid = 'shop.t'::regclass"
    )


@pytest.mark.parametrize("rows", ["(1), (2)", "(2)"])
def test_replace_keeps_the_foreign_keys_of_other_tables(
    new_database: Callable[..., Database], rows: str
) -> None:
    source, target = new_database(), new_database()
    source.execute(f"create table p (id int primary key); insert into p values {rows}")
    target.execute(
        "create table p (id int primary key); insert into p values (1); "
        "create table c (id int constraint k references p on delete cascade); insert into c values (1)"
    )
    parent = TableName("p", "public")
    transfer(source, target, parent, mode="replace")
    broken = rows == "(2)"
    assert described(target, TableName("c"))[0].foreign_keys[0].references == parent
    with connect(PG, target.uri, read_only=True) as connection:
        said = PG.unchecked(connection, parent)
    assert said == (
        ["foreign key 'k' of c holds for new rows only: rows there may break it"] if broken else []
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        target.execute("insert into c values (3)")


def test_a_view_on_the_old_table_stops_the_swap_and_loses_nothing(shops: tuple[Database, Database]) -> None:
    source, target = shops
    source.execute("create table shop.t (id int); insert into shop.t values (1), (2)")
    target.execute(
        "create table shop.t (id int); insert into shop.t values (9); create view shop.v as table shop.t"
    )
    with pytest.raises(SchemaError, match="depend"):
        transfer(source, target, TableName("t", "shop"), mode="replace")
    assert target.execute("select id from shop.v") == [(9,)]


# -- what the target lacks or already has -------------------------------------------------------------------


def test_a_taken_name_fails_before_the_first_row(shops: tuple[Database, Database]) -> None:
    source, target = shops
    target.execute("create table shop.other (a int); create index hashed on shop.other (a)")
    with connections(source, target) as (reader, writer):
        plan = plan_of(reader, writer, CUSTOMERS, CUSTOMERS)
        with pytest.raises(SchemaError, match='"hashed" is taken'):
            finish(reader, writer, plan)
    assert target.execute("select to_regclass('shop.\"Customers\"')") == [(None,)]


def test_types_are_made_where_they_are_missing(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create schema odd; create type odd.\"T's\" as enum ('$t0$', '''x'); create table t (v odd.\"T's\")"
    )
    source.execute("insert into t values ('$t0$')")
    transfer(source, target, TableName("t"))
    assert target.execute("select v::text from t") == [("$t0$",)]


def test_a_type_of_the_target_that_lacks_a_label_is_a_schema_error(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute("create type mood as enum ('a', 'b'); create table t (v mood)")
    target.execute("create type mood as enum ('b', 'c')")
    with pytest.raises(SchemaError, match=r"public\.mood.*lacks labels"):
        transfer(source, target, TableName("t"))


def test_a_type_of_the_target_with_more_labels_serves(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    source.execute("create type mood as enum ('a', 'b'); create table t (v mood); insert into t values ('b')")
    target.execute("create type mood as enum ('b', 'c', 'a')")
    transfer(source, target, TableName("t"))
    assert target.execute("select v::text from t") == [("b",)]


def test_a_foreign_key_that_the_data_breaks_names_the_rows(new_database: Callable[..., Database]) -> None:
    source, target = new_database(), new_database()
    source.execute(
        "create table p (a int, b int, primary key (a, b)); insert into p values (1, 2); "
        "create table c (id int, x int, y int, foreign key (y, x) references p (a, b) not valid)"
    )
    source.execute(
        "alter table c disable trigger all; insert into c values (1, 2, 1), (2, 3, 4), (3, null, 4)"
    )
    with connections(source, target) as (reader, writer):
        for name in ("p", "c"):
            plan = plan_of(reader, writer, TableName(name), TableName(name, "public"))
            finish(reader, writer, plan)
        (key,) = plan.references
        with pytest.raises(ArrowsyncError) as caught:
            writer.run(f"{key.add.removesuffix(' NOT VALID')}")
        assert caught.value.sqlstate == "23503"
        writer.run(key.add_unchecked)
        assert writer.rows(key.orphans) == [(2, 3, 4)]


# -- from another database ---------------------------------------------------------------------------------


def user_tables() -> Table:
    """A table as SQLite's inspection describes it."""

    def made(name: str, type: str, **facts: Any) -> Column:
        return Column(name, type, NativeType("sqlite", type), **facts)

    columns = (
        made("id", "INTEGER", nullable=False, identity="by default"),
        made("name", "TEXT", nullable=False, default="'it''s'"),
        made("age", "INTEGER", default="(42)"),
        made("paid", "DECIMAL(10,2)", default="0.00"),
        made("seen", "DATETIME", default="CURRENT_TIMESTAMP"),
        made("is_on", "BOOLEAN", default="1"),
        made("odd", "TEXT", default="lower(hex(randomblob(16)))"),
        made("boss", "INTEGER"),
        made("twice", "INTEGER", generated="age * 2"),
    )
    return Table(
        TableName("people"),
        "sqlite",
        columns,
        primary_key=Key(None, ("id",)),
        unique=(Key(None, ("name", "age")), Key("u", ("paid",))),
        checks=(Check(None, "length(name) > 2"), Check("odd", "name GLOB 'A*'")),
        foreign_keys=(ForeignKey(None, ("boss",), TableName("people"), ("id",), on_delete="set null"),),
        indexes=(
            Index("by_age", ("age", "name"), descending=(True, False)),
            Index("some", ("age",), where="age > 3"),
            Index("lowered", (), definition="CREATE INDEX lowered ON people (lower(name))"),
        ),
    )


PEOPLE = {
    "id": pa.array([1, 7]),
    "name": pa.array(["Ann", "Ben"]),
    "age": pa.array([30, None], pa.int64()),
    "paid": pa.array(["1.50", None]).cast(pa.decimal128(10, 2)),
    "seen": pa.array([0, None], pa.timestamp("us")),
    "is_on": pa.array([True, None]),
    "odd": pa.array(["x", None]),
    "boss": pa.array([None, 1], pa.int64()),
    "twice": pa.array([60, None], pa.int64()),
}


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_table_of_another_database_keeps_what_means_the_same(postgresql: Database, mode: str) -> None:
    if mode == "replace":
        postgresql.execute(
            "create table people (id int primary key, name text unique); create index by_age on people (id)"
        )
    into = TableName("people", "public")
    forms = {name: (Form(name, array.type, array.type),) for name, array in PEOPLE.items()}
    with connect(PG, postgresql.uri, read_only=False) as writer:
        existing = next(iter(PG.describe(writer, [into])), None)
        asked = Transfer.of("sqlite:///x", "postgresql://b:1/b", mode=mode)
        plan = planned(PG, user_tables(), forms, asked, into, existing)
        for statement in plan.write.before:
            writer.run(statement)
        batch = pa.RecordBatch.from_arrays(list(PEOPLE.values()), names=list(PEOPLE))
        write(writer, plan, list(conformed(plan, [batch])))
        for statement in (*plan.write.after, *(reference.add for reference in plan.references)):
            writer.run(statement)
        made = PG.describe(writer, [into])[0]
    assert [(c.name, c.type, c.nullable, c.default) for c in made.columns] == [
        ("id", "bigint", False, None),
        ("name", "text", False, "'it''s'::text"),
        ("age", "bigint", True, "42"),
        ("paid", "numeric(10,2)", True, "0.00"),
        ("seen", "timestamp without time zone", True, "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)"),
        ("is_on", "boolean", True, "true"),
        ("odd", "text", True, None),
        ("boss", "bigint", True, None),
        ("twice", "bigint", True, None),
    ]
    assert made.columns[0].identity == "by default"
    assert made.primary_key is not None
    assert made.primary_key.name == "people_pkey"
    assert {key.name for key in made.unique} == {"people_name_age_key", "u"}
    assert [(index.name, index.columns, index.descending) for index in made.indexes] == [
        ("by_age", ("age", "name"), (True, False))
    ]
    assert made.foreign_keys[0].references == into
    assert [check.expression for check in made.checks] == ["(length(name) > 2)"]
    assert postgresql.execute("insert into people (name) values ('Cid') returning id") == [(8,)]
    assert set(plan.warnings) == {
        "column 'odd': its default is not carried over: lower(hex(randomblob(16)))",
        "column 'twice' is generated as age * 2; its copy holds the values",
        "check 'odd' is not carried over",
        "index 'some' is not carried over",
        "index 'lowered' is not carried over",
    }


@pytest.mark.parametrize(
    "name", ["$$", "$t0$ $arrowsync$", "$$; drop table victims; do $$", 'it\'s "odd"\n$$']
)
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_no_table_s_name_ends_a_block_of_plpgsql(
    new_database: Callable[..., Database], name: str, mode: str
) -> None:
    source, target = new_database(), new_database()
    quoted = PG.quote(name)
    source.execute(f"create table {quoted} (id serial primary key, {quoted} int unique)")
    source.execute(f"insert into {quoted} ({quoted}) values (5)")
    target.execute("create table victims ()")
    if mode == "replace":
        target.execute(f"create table {quoted} ()")
    report = arrowsync.copy(source.uri, target.uri, mode=mode, journal=f"journal {name}")
    assert report.status == "complete"
    assert target.execute(f"select * from {quoted}, (select count(*) from victims) v") == [(1, 5, 0)]
