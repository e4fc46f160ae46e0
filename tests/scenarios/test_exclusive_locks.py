"""Other sessions that hold what a copy needs for itself: nobody queues for long behind it, and who blocks is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import arrowsync
from arrowsync import TransferError
from arrowsync.core.events import BatchWritten, Event, LockAwaited, TableStarted
from arrowsync.dialects.postgresql import connection
from arrowsync.endpoints import lock_watch, short_tries
from tests.fix_postgresql import Database
from tests.scenarios.copies import content, copy, make_rows, newest_server

pytestmark = newest_server
ROWS = 3_000


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    make_rows(target, 5)
    return source, target


@pytest.fixture(autouse=True)
def _told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_watch, "TELL_AFTER_SECONDS", 0.5)


class Blocker:
    """Another session, in a transaction of its own until a copy tells of it; an observer."""

    def __init__(self, database: Database, *statements: str) -> None:
        self.database = database
        self.session = psycopg.connect(database.uri)
        self.events: list[Event] = []
        for statement in statements:
            self.session.execute(statement)  # type: ignore[call-overload]  # psycopg wants literals

    @property
    def pid(self) -> int:
        return self.session.info.backend_pid

    @property
    def told(self) -> list[LockAwaited]:
        return [event for event in self.events if isinstance(event, LockAwaited)]

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, LockAwaited):
            self.meanwhile()
            self.session.close()

    def meanwhile(self) -> None:
        """What happens while it still blocks."""


class Reading(Blocker):
    """One behind which another reader comes, who has ten seconds."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "select count(*) from t")
        self.read = 0

    def meanwhile(self) -> None:
        self.read = self.database.execute("set statement_timeout = '10s'; select count(*) from t")[0][0]


@pytest.fixture
def reading(pair: tuple[Database, Database]) -> Iterator[Reading]:
    reader = Reading(pair[1])
    with reader.session:
        yield reader


@pytest.mark.parametrize("journal", ["arrowsync", None])
def test_readers_pass_while_replace_waits_behind_one_who_is_named(
    pair: tuple[Database, Database], reading: Reading, journal: str | None
) -> None:
    source, target = pair
    pid = reading.pid
    report = copy(source.uri, target.uri, mode="replace", journal=journal, observer=reading)
    assert reading.read == 5, "the table as it was, read while the first reader still held it"
    told = reading.told[0].wait
    assert (told.lock, told.pid, told.activity) == ("public.t", pid, "idle in transaction")
    assert report.status == "complete"
    assert content(target) == content(source)


def test_a_swap_that_finds_no_moment_fails_and_the_same_command_does_only_the_swap(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    monkeypatch.setattr(short_tries, "PATIENCE_SECONDS", 1.0)
    with psycopg.connect(target.uri) as reader:
        reader.execute("select count(*) from t")
        with pytest.raises(
            TransferError, match=rf"public\.t is locked by pid {reader.info.backend_pid}, idle"
        ) as no:
            copy(source.uri, target.uri, mode="replace")
    assert "the same command does only what is left" in str(no.value)
    assert target.execute("select count(*) from t") == [(5,)]
    monkeypatch.undo()
    events: list[Event] = []
    report = copy(source.uri, target.uri, mode="replace", observer=events.append)
    assert not [event for event in events if isinstance(event, BatchWritten)]
    assert report.rows_resumed == report.rows_written == ROWS
    assert content(target) == content(source)


def test_a_foreign_key_waits_in_the_same_way_for_the_table_that_it_names(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair
    for database in pair:
        database.execute("create table parent (id int primary key); insert into parent values (1)")
    source.execute("create table child (id int primary key, parent int references parent)")
    writer = Blocker(target, "insert into parent values (2)")
    with writer.session:
        report = copy(source.uri, target.uri, table="child", observer=writer)
    assert writer.told[0].wait.lock == "public.parent"
    assert report.status == "complete"
    assert target.execute("select count(*) from pg_constraint where contype = 'f'") == [(1,)]


@pytest.mark.parametrize("verb", ["plan", "copy"])
def test_planning_that_waits_for_a_lock_says_for_whose(
    pair: tuple[Database, Database], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = pair
    changing = Blocker(source, "create index on t (amount)", "alter table t add column further int")
    with changing.session:
        sentence = f"waiting for public.t, held by pid {changing.pid}, idle in transaction"
        verbs: dict[str, Callable[..., Any]] = {"plan": arrowsync.plan, "copy": arrowsync.copy}
        verbs[verb](source.uri, target.uri, table="t", mode="replace", observer=changing, progress=True)
    assert changing.told
    assert sentence in capsys.readouterr().err


def test_a_partition_that_another_session_has_begun_to_write_is_waited_for_and_its_session_named(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    monkeypatch.setitem(connection._SETTINGS, "lock_timeout", "1s")
    with psycopg.connect(target.uri) as orphan:

        def begin_to_write(event: Event) -> None:
            if isinstance(event, TableStarted):
                orphan.execute(
                    "insert into arrowsync.receipts select transfer, target_table, 0, '' from arrowsync.transfers"
                )

        with pytest.raises(TransferError, match="has begun to write this partition") as late:
            copy(source.uri, target.uri, mode="append", where="id > 5", observer=begin_to_write)
        assert f"pg_terminate_backend({orphan.info.backend_pid})" in str(late.value)
        orphan.rollback()
    assert late.value.report.retries == 0
    copy(source.uri, target.uri, mode="append", where="id > 5")
    assert content(target) == content(source)
