"""What several readers read of one partition: every row once, in order, whatever the table has become since."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import TableName
from arrowsync.core.units import MiB
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.postgresql.partitions import ranges, rows_of
from arrowsync.endpoints.connections import AdbcConnection
from tests.fix_postgresql import Database
from tests.unit.builders import TRANSFER
from tests.unit.dialects.routes import connect

PG = PostgreSQL()
WHOLE = (Partition(0),)
PAGES = 64  # of a table of 5,000 rows there are 32: the last slices are empty, or what was written later


def plan_of(
    connection: AdbcConnection, partitions: tuple[Partition, ...] = WHOLE, name: str = "t"
) -> TablePlan:
    (table,) = PG.describe(connection, [TableName(name, "public")])
    return TablePlan(TRANSFER, table, table, (), partitions)


def ids(connection: AdbcConnection, plan: TablePlan, partition: Partition) -> list[int]:
    found = connection.rows(f"select array_agg(id) {rows_of(PG, plan, partition)}")[0][0]
    return [int(each) for each in found or ()]


def make(database: Database, rows: int = 5_000, *, key: str = "") -> None:
    database.execute(f"create table t (id bigint {key}, name text)")
    database.execute(f"insert into t select i, 'row number ' || i from generate_series(1, {rows}) i")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cuts=st.lists(st.integers(1, PAGES), unique=True, max_size=4).map(sorted),
    by=st.sampled_from(["ctid", "key"]),
    kib=st.integers(1, 400),
)
def test_slices_cover_each_row_of_their_partition_once_and_in_order(
    postgresql: Database, cuts: list[int], by: str, kib: int
) -> None:
    postgresql.execute("drop table if exists t")
    make(postgresql, key="primary key")
    postgresql.execute("delete from t where id between 1000 and 2500")
    cut = by == "key"
    places = [str(each * 100 if cut else each) for each in cuts]
    partitions = tuple(ranges("key" if cut else "ctid", "id" if cut else None, places))
    with connect(PG, postgresql.uri, read_only=True) as source:
        plan = plan_of(source, partitions if cuts else WHOLE)
        sliced = PG.slices(source, plan, kib * 1024)
        postgresql.execute("insert into t select i, 'later' from generate_series(5001, 9000) i")
        for partition, slices in zip(plan.partitions, sliced, strict=True):
            assert {each.number for each in slices} == {partition.number}
            assert (slices[0].lower, slices[-1].upper) == (partition.lower, partition.upper)
            assert [id for each in slices for id in ids(source, plan, each)] == ids(source, plan, partition)


def test_a_slice_holds_about_what_is_asked_for_toast_included(postgresql: Database) -> None:
    postgresql.execute("create table t (id bigint, body text); alter table t alter body set storage external")
    postgresql.execute("insert into t select i, repeat('x', 2500) from generate_series(1, 4000) i")
    with connect(PG, postgresql.uri, read_only=True) as source:
        plan = plan_of(source)
        ((*slices,),) = PG.slices(source, plan, 2 * MiB)
        assert 5 <= len(slices) <= 7
        assert max(len(ids(source, plan, each)) for each in slices) <= 1_000


@pytest.mark.parametrize(
    "made",
    [
        "create table t (id uuid primary key, name text)",
        "create table t (id bigint, name text) partition by range (id)",
        "create view t as select 1::bigint as id",
        "create table t (id bigint primary key, name text)",
    ],
    ids=["a key of other types", "partitioned", "view", "empty"],
)
def test_what_has_no_such_ranges_stays_whole(postgresql: Database, made: str) -> None:
    postgresql.execute(made)
    if "uuid" in made:
        postgresql.execute("insert into t select gen_random_uuid(), 'x' from generate_series(1, 1000)")
    with connect(PG, postgresql.uri, read_only=True) as source:
        by_key = tuple(ranges("key", "id", ["5"]))
        assert PG.slices(source, plan_of(source, by_key), 8192) == [(each,) for each in by_key]


def test_a_partition_that_a_condition_narrows_stays_whole(postgresql: Database) -> None:
    make(postgresql)
    with connect(PG, postgresql.uri, read_only=True) as source:
        plan = plan_of(source)
        assert len(PG.slices(source, plan, 8192)[0]) > 10
        narrowed = replace(plan, where="id = 5")
        assert PG.slices(source, narrowed, 8192) == [WHOLE]
