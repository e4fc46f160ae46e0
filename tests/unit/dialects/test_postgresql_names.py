"""Names of our making never meet a user's: neither tables of the same copy nor what the target holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import arrowsync
from arrowsync import TransferError
from tests.fix_postgresql import Database
from tests.scenarios.copies import copy, interrupted, newest_server

pytestmark = newest_server
RELATIONS = """
select relname::text from pg_class where relnamespace = current_schema()::regnamespace and relkind = any(%s)
order by 1
"""


def relations(database: Database, kinds: str) -> list[str]:
    query = RELATIONS.replace("%s", f"'{{{','.join(kinds)}}}'")
    return [str(name) for (name,) in database.execute(query)]


@pytest.mark.parametrize("mode", ["create", "replace"])
@pytest.mark.parametrize("first", ["a_orders", "z_orders"])  # tables are copied in the order of their names
def test_a_table_may_be_called_what_postgresql_calls_another_ones_key_or_sequence(
    sqlite_file: Callable[..., Path], postgresql: Database, first: str, mode: str
) -> None:
    source = sqlite_file(
        f"create table {first} (id integer primary key); insert into {first} values (1), (2);"
        f"create table {first}_pkey (a); insert into {first}_pkey values (3);"
        f"create table {first}_id_seq (a); insert into {first}_id_seq values (4)"
    )
    for _ in range(1 if mode == "create" else 2):
        assert copy(str(source), postgresql.uri, table=None, mode=mode, verify="hash").status == "complete"
    assert relations(postgresql, "r") == [first, f"{first}_id_seq", f"{first}_pkey"]
    assert relations(postgresql, "iS") == [f"{first}_id_seq1", f"{first}_pkey1"]
    assert postgresql.execute(f"insert into {first} default values returning id") == [(3,)]


def test_an_index_may_be_called_what_postgresql_calls_another_tables_key(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    source = sqlite_file(
        "create table a (id int primary key); create table b (x int); create index a_pkey on b (x)"
    )
    assert copy(str(source), postgresql.uri, table=None).status == "complete"
    assert relations(postgresql, "i") == ["a_pkey", "a_pkey1"]


def test_two_tables_whose_columns_make_one_name_have_two(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    source = sqlite_file("create table a (b_c int unique); create table a_b (c int unique)")
    assert copy(str(source), postgresql.uri, table=None).status == "complete"
    assert relations(postgresql, "i") == ["a_b_c_key", "a_b_c_key1"]


def test_constraints_of_one_name_in_sqlite_have_two(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    source = sqlite_file(
        "create table a (id int constraint pk primary key);"
        "create table b (id int constraint pk primary key,"
        " a int constraint fk references a, constraint fk foreign key (a) references c);"
        "create table c (id int primary key)"
    )
    assert copy(str(source), postgresql.uri, table=None).status == "complete"
    assert relations(postgresql, "i") == ["c_pkey", "pk", "pk1"]
    keys = "select conname::text from pg_constraint where contype = 'f' order by 1"
    assert postgresql.execute(keys) == [("fk",), ("fk1",)]


def test_a_name_that_the_target_has_given_away_is_left_to_its_owner(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    postgresql.execute("create table t_pkey (); create view t_id_seq as select 1")
    source = sqlite_file("create table t (id integer primary key, at int); insert into t values (7, 8)")
    plan = arrowsync.plan(str(source), postgresql.uri, table="t")
    assert '"t_pkey1"' in " ".join(plan.tables[0].write.after), "the plan says so beforehand"
    plan.run(progress=False)
    assert relations(postgresql, "iS") == ["t_id_seq1", "t_pkey1"]


def test_a_copy_that_goes_on_calls_its_parts_as_it_began(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    rows = 60_000
    postgresql.execute("create table t_pkey (); create table t_id_seq ()")
    source = sqlite_file(
        "create table t (id integer primary key, name text);"
        f"with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})"
        "insert into t select i, 'row number ' || i from n"
    )
    limits = arrowsync.Limits(partition_bytes="512 KiB")
    interrupted(str(source), postgresql.uri, rows=rows // 2, limits=limits, workers=1)
    assert relations(postgresql, "S") == ["t_id_seq1"]
    assert copy(str(source), postgresql.uri, limits=limits).rows_resumed > 0
    assert relations(postgresql, "iS") == ["t_id_seq1", "t_pkey1"]
    assert postgresql.execute("insert into t default values returning id") == [(rows + 1,)]


def test_a_name_that_somebody_chose_is_never_changed(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute("create table t (id int constraint chosen primary key)")
    target.execute("create table chosen ()")
    with pytest.raises(TransferError, match='"chosen" is taken'):
        copy(source.uri, target.uri)
