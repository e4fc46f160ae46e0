"""One partition that several readers read: into one file, whose rows come in order and once, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from arrowsync import Limits, Report
from arrowsync.core.events import BatchWritten, Event, Retried
from tests.fix_postgresql import Database
from tests.scenarios.copies import copy, interrupted, make_rows, newest_server
from tests.threads import threads_left

ROWS = 800_000  # 50 MiB: eight slices and more, for four readers
LIMITS = Limits(memory="384 MiB", batch_rows=5_000)
ORDER = list(range(1, ROWS + 1))
pytestmark = newest_server


@pytest.fixture
def source(new_database: Callable[..., Database]) -> Database:
    database = new_database()
    make_rows(database, ROWS, keyed=False)
    return database


class Watch:
    """An observer that asks the server now and then how many read.

    The first time it waits until there are `readers`: where cores are busy, connecting takes a while.
    """

    def __init__(self, source: Database, *, readers: int = 1) -> None:
        self._source = source
        self._wanted = readers
        self.events: list[Event] = []
        self.readers = 0

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BatchWritten) and len(self.events) % 20 == 0:
            self._count()
            if len(self.events) == 20:
                deadline = time.monotonic() + 20
                while self.readers < self._wanted and time.monotonic() < deadline:
                    time.sleep(0.02)
                    self._count()

    def _count(self) -> None:
        self.readers = max(self.readers, self._connections() - 1)  # one holds the snapshot

    def _connections(self) -> int:
        query = "select count(*) from pg_stat_activity where datname = %s and application_name = 'arrowsync'"
        return int(self._source.server.execute(query, (self._source.name,))[0][0])


def copy_to(target: Path, source: Database, watch: Watch | None = None, **told: object) -> Report:
    told.setdefault("limits", LIMITS)
    return copy(source.uri, str(target), observer=watch, **told)


def ids(target: Path) -> list[int]:
    if target.suffix == ".parquet":
        return pl.read_parquet(target)["id"].to_list()
    query = "select id from t order by rowid"
    return pl.read_database_uri(query, f"sqlite:///{target}", engine="adbc")["id"].to_list()


@pytest.mark.parametrize("name", ["t.parquet", "t.db"])
def test_rows_of_one_file_come_in_order_however_many_readers_there_are(
    source: Database, tmp_path: Path, name: str
) -> None:
    watch = Watch(source, readers=2)
    report = copy_to(tmp_path / name, source, watch, workers=4, verify="hash")
    assert (report.rows_written, report.verified) == (ROWS, "hash")
    assert 2 <= watch.readers <= 4, "on a busy machine one may have ended before the last has connected"
    assert ids(tmp_path / name) == ORDER


def test_a_partition_of_which_every_reader_is_lost_is_copied_once_more(
    source: Database, tmp_path: Path
) -> None:
    watch = Watch(source, readers=2)

    def kill(event: Event) -> None:
        """Now and then until it shows: a reader that has all of its rows already is not missed."""
        watch(event)
        retried = any(isinstance(each, Retried) for each in watch.events)
        if isinstance(event, BatchWritten) and len(watch.events) % 20 == 0 and not retried:
            source.server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
                " and application_name = 'arrowsync' and query like 'COPY%%'",
                (source.name,),
            )

    copy(source.uri, str(tmp_path / "t.parquet"), observer=kill, limits=LIMITS, workers=4)
    assert sum(isinstance(event, Retried) for event in watch.events) == 1
    assert ids(tmp_path / "t.parquet") == ORDER


def test_readers_are_as_few_as_the_server_was_promised(source: Database, tmp_path: Path) -> None:
    watch = Watch(source, readers=2)
    limits = Limits(memory="384 MiB", batch_rows=5_000, max_connections=3)
    copy_to(tmp_path / "t.parquet", source, watch, workers=4, limits=limits)
    assert watch.readers == 2
    assert ids(tmp_path / "t.parquet") == ORDER


def test_a_small_limit_leaves_one_reader(source: Database, tmp_path: Path) -> None:
    watch = Watch(source)
    limits = Limits(memory="64 MiB", batch_rows=5_000)
    copy_to(tmp_path / "t.parquet", source, watch, workers=4, limits=limits)
    assert watch.readers == 1
    assert ids(tmp_path / "t.parquet") == ORDER


def test_an_interrupt_ends_all_readers_and_leaves_nothing(source: Database, tmp_path: Path) -> None:
    interrupted(source.uri, str(tmp_path / "t.parquet"), rows=50_000, limits=LIMITS, workers=4)
    assert threads_left() == []
    assert list(tmp_path.iterdir()) == []
