"""Planning asks each database over one session, and leaves none behind."""

from collections.abc import Callable

import pytest

import arrowsync
from arrowsync import ConfigError
from arrowsync.endpoints import Database
from arrowsync.endpoints.connection_cache import asking, keep_open
from tests import fix_postgresql

THREE_TABLES = "; ".join(f"create table t{n} (id bigint primary key, name text)" for n in range(3))


def taken(database: fix_postgresql.Database, act: Callable[[], object]) -> int:
    before = database.sessions()
    act()
    return database.sessions() - before


def connect(database: fix_postgresql.Database) -> None:
    with Database(database.uri).connect():
        pass  # the driver takes a session for itself and one for us


def test_a_plan_of_three_tables_opens_each_database_once(
    new_database: Callable[..., fix_postgresql.Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute(THREE_TABLES)
    for database in (source, target):
        once = taken(database, lambda database=database: connect(database))
        assert taken(database, lambda: arrowsync.plan(source.uri, target.uri)) == once


def test_no_session_is_left_where_planning_fails(
    new_database: Callable[..., fix_postgresql.Database],
) -> None:
    source, target = new_database(), new_database()
    source.execute(THREE_TABLES)

    def fail() -> None:
        with pytest.raises(ConfigError, match="no such"):
            arrowsync.plan(source.uri, target.uri, table="t1", where="no such")

    assert taken(source, fail) == taken(source, lambda: connect(source))


def test_a_session_that_met_an_error_is_not_used_again(postgresql: fix_postgresql.Database) -> None:
    place = Database(postgresql.uri).address
    with keep_open():
        with asking(place) as first:
            first.run("set search_path = ''")
        with asking(place) as second:
            assert second is first
        with pytest.raises(ConfigError), asking(place):
            raise ConfigError("anything")
        with asking(place) as third:
            assert third is not first
            assert third.rows("show search_path") != [("",)]


def test_whoever_asks_while_it_is_in_use_gets_another_one(postgresql: fix_postgresql.Database) -> None:
    place = Database(postgresql.uri).address
    with keep_open(), asking(place) as outer:
        with asking(place) as inner:
            assert inner is not outer
            assert inner.rows("select 1") == [(1,)]
        assert outer.rows("select 2") == [(2,)]
