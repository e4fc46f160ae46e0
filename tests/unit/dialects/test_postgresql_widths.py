"""PostgreSQL's widest row is found where TOAST holds anything, by lengths that need no reading of values."""

from arrowsync.core.table import TableName, Widths
from arrowsync.core.units import MiB
from arrowsync.dialects.postgresql import PostgreSQL
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import connect

PG = PostgreSQL()


def measured(database: Database, name: str = "t", where: str | None = None) -> Widths | None:
    with connect(PG, database.uri, read_only=True) as source:
        (table,) = PG.describe(source, [TableName(name, "public")])
        return PG.widths(source, table, where)


WIDE = """
create table {name} (id bigint, part text, body text, primary key (id, part)){end};
insert into t select i, 'it''s', repeat('x', i * 1000000) from generate_series(1, 5) as i;
insert into t values (9, 'small', 'x'), (10, 'none', null)
"""


def test_the_widest_row_is_named_by_its_key_however_well_it_is_compressed(postgresql: Database) -> None:
    postgresql.execute(WIDE.format(name="t", end=""))
    found = measured(postgresql)
    assert found is not None
    assert (found.widest, found.row) == (5_000_004, "id = 5, part = it's")


def test_rows_that_are_not_wanted_are_not_measured(postgresql: Database) -> None:
    postgresql.execute(WIDE.format(name="t", end=""))
    found = measured(postgresql, where="id < 3 -- small ones")
    assert found is not None
    assert found.row == "id = 2, part = it's"


def test_a_partitioned_table_has_the_toast_of_its_partitions(postgresql: Database) -> None:
    postgresql.execute(WIDE.format(name="t", end=" partition by list (part)").partition("insert")[0])
    postgresql.execute("create table rest partition of t default")
    postgresql.execute(WIDE[WIDE.index("insert") :])
    found = measured(postgresql)
    assert found is not None
    assert found.widest == 5_000_004


def test_a_table_without_a_key_names_the_rows_place(postgresql: Database) -> None:
    postgresql.execute(f"create table t (j json); insert into t values ('\"{'x' * 100}\"')")
    postgresql.execute("alter table t alter j set storage external")
    postgresql.execute(f"insert into t select to_json(repeat('x', {2 * MiB}))")
    found = measured(postgresql)
    assert found is not None
    assert (found.widest, found.row) == (2 * MiB + 2, "ctid (0,2)")


def test_tables_without_toast_and_views_are_not_measured(postgresql: Database) -> None:
    postgresql.execute("create table t (id bigint, name text); insert into t values (1, 'x')")
    postgresql.execute("create view v as select * from t")
    assert measured(postgresql) is None
    assert measured(postgresql, "v") is None
