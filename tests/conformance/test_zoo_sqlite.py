"""Every PostgreSQL type through a SQLite file and home by every route; people's columns into PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Table, TableName
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import Refused
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import by, connect, copy, plan_for, plan_of
from tests.unit.dialects.test_postgresql_types import SANE, cells, fill, zoos
from tests.user_tables import PEOPLE, table_of

__all__ = ["zoos"]  # the fixture: two databases with user types of other OIDs

POSTGRESQL, SQLITE = PostgreSQL(), SQLite()


@contextmanager
def looking(database: Database) -> Iterator[psycopg.Connection]:
    """Another client's connection, with settings in which text is exact."""
    with psycopg.connect(database.uri, autocommit=True) as connection:
        connection.execute(SANE)
        yield connection


def seen(client: psycopg.Connection, table: str) -> tuple[list[tuple[object, ...]], str]:
    """The column's cells and its type."""
    query = "select format_type(atttypid, atttypmod) from pg_attribute where attname = 'v' and attrelid = "
    found = client.execute(f"{query}%s::regclass".encode(), [table]).fetchone()
    return cells(client, table), str(found and found[0])


@contextmanager
def written(path: Path) -> Iterator[AdbcConnection]:
    with connect(SQLITE, str(path), read_only=False) as connection:
        connection.run("pragma synchronous = off")  # hundreds of small transactions
        yield connection


def make(target: AdbcConnection, plan: TablePlan) -> None:
    for statement in plan.write.before:
        target.run(statement)


def each_route(plan: TablePlan) -> Iterator[TablePlan]:
    return (by(plan, "v", route) for route in plan.columns[1].routes)


def refused(source: AdbcConnection, target: AdbcConnection, plan: TablePlan) -> bool:
    try:
        copy(source, target, plan)
    except (Refused, pa.ArrowInvalid):
        return True
    return False


@pytest.mark.timeout(300)
def test_every_type_comes_home_from_a_sqlite_file_by_every_route(
    zoos: tuple[Database, Database], tmp_path: Path
) -> None:
    source, target = zoos
    wrong: list[tuple[str, object]] = []
    with (
        connect(POSTGRESQL, source.uri, read_only=True) as reader,
        connect(POSTGRESQL, target.uri, read_only=False) as writer,
        looking(source) as before,
        looking(target) as after,
    ):
        types = fill(source)
        for table in POSTGRESQL.describe(reader, [TableName(name, "public") for name in types]):
            expected = seen(before, table.name.name)
            found = list(journeys(reader, writer, after, table, tmp_path))
            if not found or any(each != expected for each in found):
                wrong.append((types[table.name.name], expected, found))
    assert not wrong


def journeys(
    reader: AdbcConnection, writer: AdbcConnection, after: psycopg.Connection, table: Table, folder: Path
) -> Iterator[tuple[list[tuple[object, ...]], str]]:
    """What each way there and back makes of the table's cells and type, unless it refuses them."""
    home, name = table.name, TableName(table.name.name)
    with written(folder / f"{name}.db") as there:
        for plan in each_route(plan_for(reader, there, table, name)):
            there.run(f"drop table if exists {name}")
            make(there, plan)
            if refused(reader, there, plan):
                continue
            writer.run(f"drop table if exists {home}")
            for number, back in enumerate(each_route(plan_of(there, writer, name, home))):
                if number == 0:
                    make(writer, back)
                writer.run(f"truncate {home}")
                if not refused(there, writer, back):
                    yield seen(after, name.name)


def carry(source: AdbcConnection, target: AdbcConnection, plan: TablePlan) -> None:
    """By the first route that refuses nothing."""
    make(target, plan)
    assert any(not refused(source, target, way) for way in each_route(plan))


@pytest.mark.timeout(300)
def test_every_type_comes_home_over_two_sqlite_files(zoos: tuple[Database, Database], tmp_path: Path) -> None:
    """From one file of ours to another: by the first routes that carry the values."""
    source, target = zoos
    wrong = []
    with (
        connect(POSTGRESQL, source.uri, read_only=True) as reader,
        connect(POSTGRESQL, target.uri, read_only=False) as writer,
        written(tmp_path / "first.db") as first,
        written(tmp_path / "second.db") as second,
        looking(source) as before,
        looking(target) as after,
    ):
        types = fill(source)
        for table in POSTGRESQL.describe(reader, [TableName(name, "public") for name in types]):
            name, type = TableName(table.name.name), types[table.name.name]
            carry(reader, first, plan_for(reader, first, table, name))
            carry(first, second, plan_of(first, second, name, name))
            carry(second, writer, plan_of(second, writer, name, table.name))
            if seen(before, name.name) != seen(after, name.name):
                wrong.append(type)
    assert not wrong


def test_every_value_of_users_columns_arrives_in_postgresql(
    new_database: Callable[[], Database], sqlite_file: Callable[..., Path]
) -> None:
    target = new_database()
    path = sqlite_file("".join(table_of(case, f"t{number}") for number, case in enumerate(PEOPLE.values())))
    wrong = {}
    with (
        connect(SQLITE, str(path), read_only=True) as reader,
        connect(POSTGRESQL, target.uri, read_only=False) as writer,
        looking(target) as after,
    ):
        for number, (what, case) in enumerate(PEOPLE.items()):
            plan = plan_of(reader, writer, TableName(f"t{number}"), TableName(f"t{number}", "public"))
            make(writer, plan)
            copy(reader, writer, plan)
            rows, type = seen(after, f"t{number}")
            found = type, [text for _, text, _ in rows]
            if found != (case.type, [None, *case.texts]):
                wrong[what] = found
    assert not wrong


def test_every_value_of_users_columns_keeps_its_storage_class_in_another_file(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[..., list[tuple[object]]], tmp_path: Path
) -> None:
    path = sqlite_file("".join(table_of(case, f"t{number}") for number, case in enumerate(PEOPLE.values())))
    copied = tmp_path / "copied.db"
    with (
        connect(SQLITE, str(path), read_only=True) as reader,
        written(copied) as writer,
    ):
        for number in range(len(PEOPLE)):
            plan = plan_of(reader, writer, TableName(f"t{number}"), TableName(f"t{number}"))
            make(writer, plan)
            copy(reader, writer, plan)
    for number, what in enumerate(PEOPLE):
        type = f"(select type from pragma_table_info('t{number}') where name = 'v')"
        query = f"select typeof(v), v, hex(v), {type} from t{number} order by id"
        assert sqlite_rows(copied, query) == sqlite_rows(path, query), what
