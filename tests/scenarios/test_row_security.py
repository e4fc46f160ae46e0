"""A source whose policies hide rows: never silently."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import arrowsync
from arrowsync import ConfigError
from tests.fix_postgresql import Database
from tests.scenarios.copies import copy


@pytest.fixture
def hidden(new_database: Callable[..., Database], new_role: Callable[[str], str]) -> str:
    """The URI of a table of ten rows, of which this user may see three."""
    database, role = new_database(), new_role("secret")
    database.execute(
        "create table t (id int primary key, name text); "
        "insert into t select g, 'row ' || g from generate_series(1, 10) g; "
        "alter table t enable row level security; create policy few on t using (id <= 3); "
        f"grant select on t to {role}"
    )
    return database.server.uri(database.name, user=role, password="secret")


def test_a_policy_that_hides_rows_ends_the_copy_before_anything_is_written(
    hidden: str, postgresql: Database
) -> None:
    with pytest.raises(
        ConfigError, match=r"row-level security hides rows of table public\.t.*--row-security"
    ):
        copy(hidden, postgresql.uri)
    assert postgresql.execute("select count(*) from pg_tables where tablename in ('t', 'transfers')") == [
        (0,)
    ]


def test_row_security_copies_what_the_policy_shows_and_proves_it(hidden: str, postgresql: Database) -> None:
    report = copy(hidden, postgresql.uri, row_security=True, verify="hash")
    assert (report.rows_written, report.verified) == (3, "hash")
    assert postgresql.execute("select id from t order by id") == [(1,), (2,), (3,)]
    check = arrowsync.verify(hidden, postgresql.uri, table="t", row_security=True)
    assert check.equal


def test_a_database_without_policies_says_so(
    postgresql: Database, sqlite_file: Callable[..., object]
) -> None:
    path = sqlite_file("create table t (id integer)")
    with pytest.raises(ConfigError, match="sqlite has no row security"):
        arrowsync.plan(str(path), postgresql.uri, row_security=True)
