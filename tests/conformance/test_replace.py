"""`replace` into PostgreSQL: what belongs to the old table beside its rows is the new one's, or listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from tests.fix_postgresql import Database

SOURCE = """
create table o (id serial primary key, code int not null unique, name text, v int, doc bytea);
insert into o select g, g, 'x', g, 'y' from generate_series(1, 10) g
"""
TARGET = """
create table o (id serial primary key, code int not null unique, name text, v int, doc bytea) with (
    fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
insert into o values (0, 0, 'old', 0, 'z');
"""

# What each thing is made with, and how the catalogue shows it.
_CLASS = "select {} from pg_class c where c.oid = 'o'::regclass"
_COLUMN = "select {} from pg_attribute a where attrelid = 'o'::regclass and attname = 'name'"
BELONGINGS = {
    "publication": (
        "create publication p for table o (id, name, code) where (id > 0 and v > 1); alter table o replica identity full",
        "select pubname, attnames::text, rowfilter from pg_publication_tables where tablename = 'o'",
    ),
    "publications": (
        "create publication q for table o; create publication r for table o with (publish = 'insert')",
        "select pubname from pg_publication_rel r join pg_publication p on p.oid = prpubid order by 1",
    ),
    "columns' rights": (
        "grant select (id, name), update (v) on o to bob; grant insert (name) on o to bob with grant option",
        "select attname, array(select unnest(attacl)::text order by 1) from pg_attribute "
        "where attrelid = 'o'::regclass and attacl is not null order by 1",
    ),
    "rights": (
        "grant insert, delete on o to bob; alter default privileges grant select on tables to bob, public",
        "select array(select unnest(relacl)::text order by 1) from pg_class where oid = 'o'::regclass",
    ),
    "sequences' rights": (
        "grant usage, select on o_id_seq to bob",
        "select array(select unnest(relacl)::text order by 1) from pg_class where relname = 'o_id_seq'",
    ),
    "identity full": ("alter table o replica identity full", _CLASS.format("relreplident")),
    "identity nothing": ("alter table o replica identity nothing", _CLASS.format("relreplident")),
    "identity by index": (
        "alter table o replica identity using index o_code_key",
        "select indexrelid::regclass::text from pg_index where indrelid = 'o'::regclass and indisreplident",
    ),
    "statistics": (
        "create statistics st (ndistinct, mcv) on name, v from o; alter statistics st set statistics 77; "
        "comment on statistics st is 'both'; create schema other; create statistics other.st on (v + id) from o",
        "select pg_get_statisticsobjdef(oid), stxstattarget, obj_description(oid, 'pg_statistic_ext') "
        "from pg_statistic_ext order by 1",
    ),
    "columns' statistics": (
        "alter table o alter name set statistics 1000, alter v set statistics 0, "
        "alter name set (n_distinct = -0.5, n_distinct_inherited = 7)",
        "select attname, attstattarget, attoptions from pg_attribute where attrelid = 'o'::regclass and attnum > 0 order by 1",
    ),
    "storage parameters": (
        "alter table o set (parallel_workers = 3)",
        "select c.reloptions, t.reloptions from pg_class c join pg_class t on t.oid = c.reltoastrelid where c.oid = 'o'::regclass",
    ),
    "columns' storage": (
        "alter table o alter name set storage external, alter doc set storage main, alter doc set compression pglz",
        "select attname, attstorage, attcompression from pg_attribute where attrelid = 'o'::regclass and attnum > 0",
    ),
    "cluster": (
        "alter table o cluster on o_pkey",
        "select indexrelid::regclass::text from pg_index where indrelid = 'o'::regclass and indisclustered",
    ),
    "triggers and rules": (
        "create function f() returns trigger language plpgsql as 'begin return new; end'; "
        "create trigger a before insert on o for each row execute function f(); alter table o enable always trigger a; "
        "create trigger r before insert on o for each row execute function f(); alter table o enable replica trigger r; "
        "comment on trigger a on o is 'always'; create rule no as on delete to o do instead nothing; "
        "comment on rule no on o is 'never'; alter table o disable rule no",
        "select tgname, tgenabled, obj_description(oid, 'pg_trigger') from pg_trigger where tgrelid = 'o'::regclass "
        "union all select rulename, ev_enabled, obj_description(oid, 'pg_rewrite') from pg_rewrite "
        "where ev_class = 'o'::regclass order by 1",
    ),
    "comments": (
        "comment on column o.v is 'old'; comment on table o is 'old, too'; create policy p on o; comment on policy p on o is 'so'",
        "select col_description('o'::regclass, 4), obj_description('o'::regclass), "
        "(select obj_description(oid, 'pg_policy') from pg_policy)",
    ),
}


@pytest.fixture
def databases(
    new_database: Callable[..., Database], new_role: Callable[[str], str]
) -> tuple[Database, Database, str]:
    """A source, a target and a role."""
    return new_database(), new_database(), new_role("secret")


ALONE = [[name] for name in ("identity nothing", "identity by index")]
TOGETHER = [name for name in BELONGINGS if [name] not in ALONE]


@pytest.mark.parametrize(
    "names", [TOGETHER, *ALONE], ids=["together", "identity nothing", "identity by index"]
)
def test_replace_keeps_what_belongs_to_the_table(
    databases: tuple[Database, Database, str], names: list[str]
) -> None:
    source, target, role = databases
    source.execute(SOURCE)
    target.execute(TARGET)
    for name in names:
        target.execute(BELONGINGS[name][0].replace("bob", role))
    before = {name: target.execute(BELONGINGS[name][1]) for name in names}
    report = arrowsync.copy(source.uri, target.uri, table="o", mode="replace")
    assert target.execute("select count(*) from o") == [(10,)]
    assert {name: target.execute(BELONGINGS[name][1]) for name in names} == before
    assert all(before.values())
    assert not [warning for warning in report.warnings if "not carried over" in warning]


def test_rows_are_stored_as_the_old_table_stores_them(databases: tuple[Database, Database, str]) -> None:
    source, target, _ = databases
    source.execute("create table o (id int); insert into o select generate_series(1, 2000)")
    target.execute(
        "create table o (id int) with (fillfactor = 10); create table plain as select generate_series(1, 2000)"
    )
    arrowsync.copy(source.uri, target.uri, table="o", mode="replace")
    assert target.execute("select pg_relation_size('o') > 5 * pg_relation_size('plain')") == [(True,)]


LOST = {
    "a column": (
        "create statistics st on name, gone from o; grant select (gone) on o to bob; "
        "create publication p for table o (id, gone); alter table o alter gone set statistics 3",
        {
            "statistics public.st is not carried over: the new table has no column 'gone'",
            "the right to select column gone is not carried over: the new table has no column 'gone'",
            "membership in publication p is not carried over: the new table has no column 'gone'",
            "the statistics target of column gone is not carried over: the new table has no column 'gone'",
        },
    ),
    "an index": (
        "create unique index own on o (id); alter table o replica identity using index own; alter table o cluster on own",
        {
            "replica identity using index own is not carried over: the new table has no index 'own'",
            "cluster on own is not carried over: the new table has no index 'own'",
        },
    ),
    "a value in each row": (
        "alter table o alter code set not null; create unique index by_code on o (code); "
        "alter table o replica identity using index by_code",
        {
            "replica identity using index by_code is not carried over: the new table's 'by_code' does not serve for that"
        },
    ),
    "a log": ("alter table o set unlogged", {"unlogged is not carried over: the new table outlives a crash"}),
}


@pytest.mark.parametrize("name", LOST)
def test_what_the_new_table_cannot_keep_is_listed(
    databases: tuple[Database, Database, str], name: str
) -> None:
    source, target, role = databases
    made, expected = LOST[name]
    source.execute(
        "create table o (id int, code int, name text); insert into o values (1, 1, 'x'); create unique index by_code on o (code)"
    )
    target.execute(
        f"create table o (id int not null, code int, name text, gone text); {made.replace('bob', role)}"
    )
    plan = arrowsync.plan(source.uri, target.uri, table="o", mode="replace")
    assert set(plan.tables[0].warnings) == expected
    report = plan.run()
    assert expected <= {
        warning.partition(": ")[2] if warning.startswith("public.o: ") else warning
        for warning in report.warnings
    }
    assert target.execute("select count(*) from o") == [(1,)]


def test_a_publication_of_somebody_else_is_listed_and_the_table_replaced(
    databases: tuple[Database, Database, str],
) -> None:
    source, target, role = databases
    source.execute(SOURCE)
    target.execute(
        f"{TARGET}; create publication p for table o; alter table o owner to {role}; "
        f"grant create, usage on schema public to {role}; grant create on database {target.name} to {role}; "
        f"create schema closed; create statistics closed.st on name, v from o; alter statistics closed.st owner to {role}"
    )
    uri = target.server.uri(target.name, user=role, password="secret")
    report = arrowsync.copy(source.uri, uri, table="o", mode="replace")
    listed = " ".join(report.warnings)
    assert "membership in publication p is not carried over" in listed
    assert "statistics closed.st is not carried over" in listed
    assert target.execute("select count(*) from o") == [(10,)]
    assert target.execute("select count(*) from pg_publication_rel") == [(0,)]


@pytest.mark.parametrize("name", ["o", 'O "{old}" {name}'])
def test_any_name_of_a_table_keeps_its_settings(databases: tuple[Database, Database, str], name: str) -> None:
    source, target, _ = databases
    quoted = '"' + name.replace('"', '""') + '"'
    for database in (source, target):
        database.execute(f'create table {quoted} (id int primary key, "{{new}} c" int)')
    target.execute(
        f'create publication "P {{target}}" for table {quoted} (id); alter table {quoted} alter "{{new}} c" set statistics 5'
    )
    arrowsync.copy(source.uri, target.uri, table=quoted, mode="replace")
    assert target.execute("select pubname, attnames::text from pg_publication_tables") == [
        ("P {target}", "{id}")
    ]
    assert target.execute("select count(*) from pg_attribute where attstattarget = 5") == [(1,)]


# -- sequences and large objects ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["create", "replace"])
@pytest.mark.parametrize(
    ("made", "first"),
    [
        ("id int generated by default as identity", 500),
        ("id int generated always as identity (start with 7 increment by 5)", 500),
        ("id serial", 500),
        ("id bigint generated by default as identity (start with 7)", 1),  # nothing stands before it
        ("id int generated by default as identity (start with -7 increment by -1)", -1),
    ],
)
def test_a_restarted_number_that_was_not_used_yet_stays_the_next_one(
    databases: tuple[Database, Database, str], made: str, first: int, mode: str
) -> None:
    source, target, _ = databases
    source.execute(f"create table t ({made}, v int); alter sequence t_id_seq restart {first}")
    if mode == "replace":
        target.execute(f"create table t ({made}, v int)")
    arrowsync.copy(source.uri, target.uri, table="t", mode=mode)
    assert target.execute("insert into t (v) values (1) returning id") == [(first,)]
    assert source.execute("insert into t (v) values (1) returning id") == [(first,)]


def test_a_sequence_that_nobody_owns_keeps_its_restarted_number(
    databases: tuple[Database, Database, str],
) -> None:
    source, target, _ = databases
    source.execute(
        "create sequence s; create table t (id int default nextval('s'), v int); alter sequence s restart 500"
    )
    arrowsync.copy(source.uri, target.uri, table="t")
    assert target.execute("insert into t (v) values (1) returning id") == [(500,)]


def remarks(source: Database, target: str, **asked: Any) -> list[str]:
    plan = arrowsync.plan(source.uri, target, table="t", **asked)
    return [warning for table in plan.tables for warning in table.warnings if "large objects" in warning]


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "parquet"])
def test_columns_of_large_objects_say_that_these_stay_behind(
    databases: tuple[Database, Database, str], tmp_path: Path, kind: str
) -> None:
    source, target, _ = databases
    place = {
        "postgresql": target.uri,
        "sqlite": str(tmp_path / "t.db"),
        "parquet": str(tmp_path / "t.parquet"),
    }[kind]
    source.execute("create domain lo as oid; create table t (id int primary key, pic lo, number oid)")
    picture = "column 'pic' holds the numbers of large objects, which stay behind"
    number = "column 'number' may hold the numbers of large objects, which stay behind"
    assert remarks(source, place) == [picture]
    source.execute("select lo_create(77)")
    assert remarks(source, place) == [picture, number]
    assert remarks(source, place, exclude=["pic"]) == [number]
