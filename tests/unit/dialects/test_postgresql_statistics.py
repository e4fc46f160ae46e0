"""A large PostgreSQL table is not counted where server statistics prove what it holds."""

from collections.abc import Callable

import pytest

import arrowsync
from arrowsync import TransferError, VerificationError
from arrowsync.core.events import Event, PartitionCommitted
from arrowsync.core.table import TableName
from arrowsync.dialects.postgresql import PostgreSQL, change_detection
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import connect

PG = PostgreSQL()
THREE = "create table t as select generate_series(1, 3)::int8 as id"


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_detection, "COUNT_ANYWAY", 0)


def count_from_statistics(database: Database, rows: int = 3) -> bool:
    with connect(PG, database.uri, read_only=True) as connection:
        return PG.count_from_statistics(connection, TableName("t", "public"), rows)


def test_rows_that_were_only_inserted_are_in_the_statistics(postgresql: Database) -> None:
    postgresql.execute(THREE)
    assert count_from_statistics(postgresql)
    assert not count_from_statistics(postgresql, rows=4)


@pytest.mark.parametrize(
    "then",
    [
        "delete from t where id = 1",
        "update t set id = 7 where id = 1",
        "truncate t",
        "delete from t where id = 1; insert into t values (1)",
        "begin; insert into t values (4); rollback",
        "select pg_stat_reset_single_table_counters('t'::regclass)",
        "alter table t rename to s; create view t as select * from s",
    ],
)
def test_statistics_prove_nothing_of_a_table_with_a_past(postgresql: Database, then: str) -> None:
    postgresql.execute(THREE)
    postgresql.sessions()  # or what it reports as it ends could come after a reset
    postgresql.execute(then)
    assert not count_from_statistics(postgresql)


def test_a_small_table_is_counted_whatever_the_statistics_say(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_detection, "COUNT_ANYWAY", 8_192)
    postgresql.execute(THREE)
    assert not count_from_statistics(postgresql)


def target_of(postgresql: Database, new_database: Callable[[], Database]) -> Database:
    postgresql.execute(THREE)
    return new_database()


@pytest.mark.parametrize(("count_anyway", "scans"), [(0, 0), (8_192, 1)], ids=["large", "small"])
def test_only_a_small_table_is_read_again(
    postgresql: Database,
    new_database: Callable[[], Database],
    monkeypatch: pytest.MonkeyPatch,
    count_anyway: int,
    scans: int,
) -> None:
    monkeypatch.setattr(change_detection, "COUNT_ANYWAY", count_anyway)
    target = target_of(postgresql, new_database)
    report = arrowsync.copy(postgresql.uri, target.uri, table="t")
    assert (report.rows_written, report.verified) == (3, "count")
    target.sessions()  # have ended, and reported
    assert target.execute("select seq_scan from pg_stat_user_tables where relname = 't'") == [(scans,)]


def test_a_row_that_somebody_deletes_meanwhile_is_missed(
    postgresql: Database, new_database: Callable[[], Database]
) -> None:
    target = target_of(postgresql, new_database)

    def delete(event: Event) -> None:
        if isinstance(event, PartitionCommitted):
            target.execute("delete from t where id = 2")

    with pytest.raises(TransferError, match="3 rows were copied, but the target holds 2") as caught:
        arrowsync.copy(postgresql.uri, target.uri, table="t", observer=delete)
    assert isinstance(caught.value.__cause__, VerificationError)
