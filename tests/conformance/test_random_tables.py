"""Tables of random exact types and values come home unchanged, over PostgreSQL and over a SQLite file."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arrowsync
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server
from tests.type_zoo import ZOO
from tests.unit.dialects.test_postgresql_types import SANE, try_to, zoos

__all__ = ["zoos"]  # the fixture: two databases with user types of other OIDs

COLUMNS = st.lists(st.sampled_from(sorted(ZOO)), min_size=1, max_size=8)
ROWS = st.lists(st.lists(st.none() | st.integers(0, 1_000), min_size=8, max_size=8), max_size=12)


def literal(key: str, value: int | None) -> str:
    """One of the type's values, or NULL."""
    if value is None:
        return "null"
    text = ZOO[key][value % len(ZOO[key])].replace("'", "''")
    return f"'{text}'::{key.split('#')[0]}"


def make(database: Database, table: str, keys: list[str], rows: list[list[int | None]]) -> int:
    """The table with the columns and rows that this server knows; how many columns."""
    with psycopg.connect(database.uri, autocommit=True) as connection:
        connection.execute(
            "set search_path = public, other; set timezone = 'UTC'; set datestyle = 'ISO, YMD'"
        )
        connection.execute(f"create table {table} (id int primary key)".encode())
        known = [
            key
            for place, key in enumerate(keys)
            if try_to(connection, f"alter table {table} add column c{place} {key.split('#')[0]}")
        ]
        for number, row in enumerate(rows):
            values = ", ".join(literal(key, value) for key, value in zip(known, row, strict=False))
            try_to(connection, f"insert into {table} values ({number}{', ' * bool(values)}{values})")
        return len(known)


def cells(database: Database, table: str) -> list[tuple[object, ...]]:
    return database.execute(SANE + f"select t.*::text from {table} t order by id")


numbers = count()


@newest_server
@pytest.mark.timeout(300)
def test_a_table_of_random_types_comes_home(zoos: tuple[Database, Database], tmp_path: Path) -> None:
    source, target = zoos

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(COLUMNS, ROWS)
    def check(keys: list[str], rows: list[list[int | None]]) -> None:
        table = f"random_{next(numbers)}"
        make(source, table, keys, rows)
        arrowsync.copy(source.uri, target.uri, table=table, verify="hash")
        assert cells(target, table) == cells(source, table)
        file = tmp_path / f"{table}.db"
        arrowsync.copy(source.uri, file, table=table, verify="hash")
        arrowsync.copy(file, target.uri, table=table, target_table=f"{table}_back", verify="hash")
        assert cells(target, f"{table}_back") == cells(source, table)

    check()


@pytest.mark.timeout(300)  # 15 copies of 50 columns, many of which fall back
def test_all_types_in_one_table_come_home(zoos: tuple[Database, Database], tmp_path: Path) -> None:
    """Every column falls back to another form on its own, and the others stay with theirs."""
    source, target = zoos
    keys = sorted(ZOO)
    longest = max(len(texts) for texts in ZOO.values())
    for start in range(0, len(keys), 50):  # 8 kB pages hold no row of all types
        table, part = f"all_{start}", keys[start : start + 50]
        make(source, table, part, [[place] * len(part) for place in range(0, longest, 20)])
        arrowsync.copy(source.uri, target.uri, table=table, verify="hash")
        assert cells(target, table) == cells(source, table)
        file = tmp_path / f"{table}.db"
        arrowsync.copy(source.uri, file, table=table, verify="hash")
        arrowsync.copy(file, target.uri, table=table, target_table=f"{table}_back", verify="hash")
        assert cells(target, f"{table}_back") == cells(source, table)
