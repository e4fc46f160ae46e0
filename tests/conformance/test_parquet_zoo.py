"""Every PostgreSQL type survives the way through a Parquet file, values included."""

from pathlib import Path

import psycopg

import arrowsync
from tests.fix_postgresql import Database
from tests.unit.dialects.test_postgresql_types import SANE, fill, zoos

__all__ = ["zoos"]  # the fixture: two databases with user types of other OIDs


def gather(database: Database) -> list[str]:
    """One table of all types, each a column named after the table that `fill` makes of it."""
    tables = list(fill(database))
    columns = ", ".join(f"{table}.v as {table}" for table in tables)
    joins = " ".join(f"left join {table} on {table}.id = n.id" for table in tables)
    with psycopg.connect(database.uri, autocommit=True) as connection:
        connection.execute("set join_collapse_limit = 1")
        rows = f"select n.id, {columns} from generate_series(-1, 1000) as n(id) {joins}"
        connection.execute(f"create table zoo as {rows}".encode())
    return tables


def texts(database: Database, names: list[str]) -> dict[str, list[object]]:
    """Each column's values as the server spells them."""
    rows = database.execute(SANE + f"select {', '.join(f'{n}::text' for n in names)} from zoo order by id")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def test_every_type_comes_home_from_a_parquet_file(zoos: tuple[Database, Database], tmp_path: Path) -> None:
    source, target = zoos
    names = gather(source)
    file = tmp_path / "zoo.parquet"
    there = arrowsync.copy(source.uri, file, table="zoo", verify="hash")
    back = arrowsync.copy(file, target.uri, verify="hash")
    assert (there.verified, back.verified) == ("hash", "hash")
    before, after = texts(source, names), texts(target, names)
    assert [name for name in names if before[name] != after[name]] == []
