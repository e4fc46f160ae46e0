"""Servers and poolers that take no more connections: a copy goes on with fewer, or waits, and says so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from arrowsync import Limits, Report, TransferError
from arrowsync.core.events import Event, FewerConnections, Retried, TableStarted
from arrowsync.dialects.postgresql import connection
from tests.fix_pooler import Mode
from tests.fix_postgresql import Database
from tests.scenarios.copies import content, copy, make_rows, newest_server

pytestmark = newest_server
ROWS = 30_000
LIMITS = Limits(partition_bytes="512 KiB", batch_rows=500)
# Each row waits while the test holds the lock.
WAIT = """create function wait() returns bool language plpgsql set lock_timeout = 0 as
    $$ begin perform pg_advisory_xact_lock_shared(42); return true; end $$"""
WAIT_BEFORE_INSERT = """create function wait() returns trigger language plpgsql set lock_timeout = 0 as
    $$ begin perform pg_advisory_xact_lock_shared(42); return new; end $$;
    create trigger wait before insert on t for each row execute function wait()"""
PASSWORD = "cuttlefish-88"


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


@pytest.fixture
def limited(new_role: Callable[[str], str]) -> Callable[[Database, int], str]:
    """Gives a role so many connections to a database of its own; the URI."""

    def make(database: Database, most: int) -> str:
        role = new_role(PASSWORD)
        database.execute(f"alter role {role} connection limit {most}")
        database.execute(
            f"grant all on database {database.name} to {role}; grant all on schema public to {role}"
        )
        database.execute(f"grant all on all tables in schema public to {role}")
        return database.server.uri(database.name, user=role, password=PASSWORD)

    return make


class Held:
    """An observer that lets no row pass from a table's start until a connection was refused."""

    def __init__(self, database: Database) -> None:
        self._locked = psycopg.connect(database.uri, autocommit=True)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *exc: object) -> None:
        self._locked.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, TableStarted):
            self._locked.execute("select pg_advisory_lock(42)")
        if isinstance(event, FewerConnections):
            self._locked.close()


def fewer(report: Report) -> str:
    """The one warning about it."""
    [warning] = [warning for warning in report.warnings if "fewer connections" in warning]
    return warning


@pytest.mark.parametrize("most", [2, 3])
def test_a_source_that_takes_no_more_connections_is_read_with_fewer_and_the_report_says_so(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str], most: int
) -> None:
    source, target = pair
    source.execute(WAIT)
    with Held(source) as held:
        uri = limited(source, most)
        report = copy(uri, target.uri, limits=LIMITS, workers=4, where="wait()", observer=held)
    assert content(target) == content(source)
    assert (report.status, report.rows_written) == ("complete", ROWS)
    assert "too many connections for role" in fewer(report)


@pytest.mark.parametrize("most", [2, 3])
def test_a_target_that_takes_no_more_connections_is_written_with_fewer(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str], most: int
) -> None:
    source, target = pair
    make_rows(target, 0)
    target.execute(WAIT_BEFORE_INSERT)
    target.execute("alter table t owner to pg_database_owner")
    with Held(target) as held:
        uri = limited(target, most)
        report = copy(source.uri, uri, limits=LIMITS, workers=4, mode="append", observer=held)
    assert content(target) == content(source)
    assert fewer(report)


def test_a_database_has_its_limit_too(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str]
) -> None:
    source, target = pair
    source.execute(WAIT)
    uri = limited(source, 50)
    with Held(source) as held:  # is one of the four
        source.execute(f"alter database {source.name} connection limit 4")
        report = copy(uri, target.uri, limits=LIMITS, workers=4, where="wait()", observer=held)
    assert content(target) == content(source)
    assert "too many connections for database" in fewer(report)


@pytest.mark.parametrize("place", ["copy.db", "copy.parquet"])
def test_several_readers_of_one_partition_become_fewer(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str], tmp_path: Path, place: str
) -> None:
    source = pair[0]
    make_rows(source, 300_000, name="large", keyed=False)
    source.execute(WAIT)
    source.execute("alter table large enable row level security; create policy wait on large using (wait())")
    with Held(source) as held:
        uri, told = limited(source, 3), {"row_security": True, "observer": held}
        report = copy(
            uri, str(tmp_path / place), table="large", workers=4, limits=Limits(memory="384 MiB"), **told
        )
    assert (report.status, report.rows_written) == ("complete", 300_000)
    assert fewer(report)


def test_workers_of_an_executor_share_what_there_is(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str]
) -> None:
    source, target = pair
    source.execute(WAIT)
    with Held(source) as held, ThreadPoolExecutor(4) as executor:
        told = {"limits": LIMITS, "workers": 4, "where": "wait()", "observer": held, "executor": executor}
        report = copy(limited(source, 3), target.uri, **told)
    assert content(target) == content(source)
    assert fewer(report)


class Holding:
    """An observer that holds all of a role's connections from the beginning until something is tried again."""

    def __init__(self, uri: str, count: int) -> None:
        self.stack = ExitStack()
        for _ in range(count):
            self.stack.enter_context(psycopg.connect(uri))
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Retried):
            self.stack.close()


def test_connections_that_others_have_for_a_while_only_make_it_wait(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str]
) -> None:
    source, target = pair
    uri = limited(source, 4)
    holding = Holding(uri, 3)
    with holding.stack:
        report = copy(uri, target.uri, limits=LIMITS, workers=4, observer=holding)
    assert content(target) == content(source)
    assert report.retries >= 1


def test_where_not_even_one_is_left_the_error_says_what_to_do(
    pair: tuple[Database, Database], limited: Callable[[Database, int], str]
) -> None:
    source, target = pair
    with pytest.raises(TransferError, match="too many connections for role") as failed:
        copy(limited(source, 1), target.uri, limits=LIMITS, workers=4)
    assert "--max-connections" in str(failed.value)


def test_a_session_pool_that_is_too_small_for_all_readers_does_for_fewer(
    pair: tuple[Database, Database], new_pooler: Callable[[Mode, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 1)
    source, target = pair
    source.execute(WAIT)
    uri = source.server.uri(source.name, port=new_pooler("session", 3)) + "?connect_timeout=1"
    with Held(source) as held:
        report = copy(uri, target.uri, limits=LIMITS, workers=4, where="wait()", observer=held)
    assert content(target) == content(source)
    assert "not answered within 3 s" in fewer(report)
