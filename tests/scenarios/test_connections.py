"""Connections that break: killed backends, a restarted server, a network that cuts and stalls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from arrowsync import Limits, ResumeError, Retry, TransferError
from arrowsync.core.events import BatchWritten, Event, Retried, TableStarted
from tests.fix_postgresql import Database, Server
from tests.fix_proxy import Proxy, hang_up
from tests.scenarios.copies import add_rows, content, copy, make_rows, newest_server

ROWS = 60_000
LIMITS = Limits(partition_bytes="512 KiB", batch_rows=2_000)


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


class Trouble:
    """An observer that does something at certain batches, counted from 1; the copy's thread waits for it."""

    def __init__(self, make: Callable[[], object], *batches: int) -> None:
        self._make = make
        self._at = set(batches)
        self._seen = 0
        self._lock = threading.Lock()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BatchWritten):
            with self._lock:
                self._seen += 1
                due = self._seen in self._at
            if due:
                self._make()


def terminate_all(*databases: Database) -> None:
    """Every backend but this one's, those that hold the snapshot and the lock included."""
    names = ", ".join(f"'{database.name}'" for database in databases)
    databases[0].server.execute(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname in ({names})"
    )


def test_terminating_every_backend_three_times_costs_no_row(pair: tuple[Database, Database]) -> None:
    source, target = pair
    trouble = Trouble(lambda: terminate_all(source, target), 3, 12, 20)
    report = copy(source.uri, target.uri, observer=trouble, limits=LIMITS, workers=2)
    assert content(target) == content(source)
    assert report.status == "complete"
    assert report.rows_written == ROWS
    assert report.retries >= 1


def test_going_on_after_a_lost_snapshot_is_a_retry(pair: tuple[Database, Database]) -> None:
    source, target = pair

    def lose() -> None:
        source.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and state = 'idle in transaction' and query like '%export_snapshot%'"
        )

    trouble = Trouble(lose, 12)
    report = copy(source.uri, target.uri, observer=trouble, limits=LIMITS, workers=1)
    [again] = [event for event in trouble.events if isinstance(event, Retried)]
    assert "snapshot" in again.error
    assert report.retries == 1
    assert content(target) == content(source)


@newest_server
@pytest.mark.parametrize("most", [4, 7])
def test_a_server_never_has_more_connections_than_it_was_promised(
    pair: tuple[Database, Database], most: int
) -> None:
    source, target = pair
    port = source.server.port
    seen: list[int] = []
    over = threading.Event()

    def count() -> None:
        """This process's own connections: a server's list still has those that have just been closed."""
        process = psutil.Process()
        while not over.wait(0.001):
            found = [
                each for each in process.net_connections("tcp") if each.raddr and each.raddr.port == port
            ]
            seen.append(sum(each.status == psutil.CONN_ESTABLISHED for each in found))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        limits = replace(LIMITS, max_connections=most)
        report = copy(source.uri, target.uri, limits=limits, workers=8, verify="hash")
    finally:
        over.set()
        counting.join()
    assert report.verified == "hash"
    assert 3 <= max(seen) <= most


def test_a_lost_snapshot_of_a_source_that_has_changed_ends_the_table_and_the_same_command_starts_over(
    pair: tuple[Database, Database],
) -> None:
    source, target = pair

    def change() -> None:
        source.execute("update t set amount = -1 where id = 1")
        terminate_all(source)

    with pytest.raises(TransferError, match="snapshot was lost") as failed:
        copy(source.uri, target.uri, observer=Trouble(change, 12), limits=LIMITS, workers=1)
    assert isinstance(failed.value.__cause__, ResumeError)
    report = copy(source.uri, target.uri)
    assert "may have changed" in report.warnings[0]
    assert content(target) == content(source)


def test_the_server_restarts_in_the_middle(pair: tuple[Database, Database]) -> None:
    source, target = pair
    trouble = Trouble(source.server.restart, 7)
    report = copy(source.uri, target.uri, observer=trouble, limits=LIMITS, workers=2)
    assert content(target) == content(source)
    assert report.retries >= 1


def test_a_server_that_stays_away_leaves_what_is_committed(pair: tuple[Database, Database]) -> None:
    source, target = pair
    with pytest.raises(TransferError):
        copy(
            source.uri,
            target.uri,
            observer=Trouble(source.server.stop, 12),
            limits=LIMITS,
            workers=1,
            retry=Retry(attempts=2, first_seconds=0.1, longest_seconds=0.1),
        )
    source.server.start()
    report = copy(source.uri, target.uri)
    assert report.partitions_resumed > 0
    assert content(target) == content(source)


@newest_server
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_network_that_drops_connections_costs_no_row(
    pair: tuple[Database, Database], postgresql_proxy: Proxy, side: str
) -> None:
    source, target = pair
    add_rows(source, ROWS + 1, 400_000)  # more than the network and the drivers hold between them
    uris, limits = through(postgresql_proxy, pair, side), replace(LIMITS, partition_bytes="64 MiB")
    trouble = Trouble(postgresql_proxy.drop, 3, 14)
    report = copy(*uris, observer=trouble, limits=limits, workers=2)
    assert content(target) == content(source)
    assert report.retries >= 1


@newest_server
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_network_that_cuts_again_and_again_costs_no_row(
    pair: tuple[Database, Database], postgresql_proxy: Proxy, side: str
) -> None:
    source, target = pair

    cuts = iter(range(5))

    def cut_again(event: Event) -> None:
        if isinstance(event, TableStarted | Retried) and next(cuts, None) is not None:
            postgresql_proxy.cut_after(200_000)

    report = copy(
        *through(postgresql_proxy, pair, side),
        observer=cut_again,
        limits=LIMITS,
        workers=1,
        retry=Retry(attempts=9, first_seconds=0.01, longest_seconds=0.05),
    )
    assert content(target) == content(source)
    assert report.retries >= 3


def through(proxy: Proxy, pair: tuple[Database, Database], side: str) -> list[str]:
    """Both URIs, that of one side by way of the proxy."""
    return [
        database.server.uri(database.name, port=proxy.port) + "?connect_timeout=2"
        if name == side
        else database.uri
        for name, database in zip(("source", "target"), pair, strict=True)
    ]


@newest_server
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_stalled_network_is_cut_and_the_copy_goes_on_when_it_is_back(
    pair: tuple[Database, Database], postgresql_proxy: Proxy, side: str
) -> None:
    source, target = pair
    add_rows(source, ROWS + 1, 400_000)  # more than the network and the drivers hold between them
    before = 0

    def stall() -> None:
        nonlocal before
        before = postgresql_proxy.connections
        postgresql_proxy.stall()
        back.start()

    def resume() -> None:
        """When a connection has come that is to cancel what does not answer."""
        while postgresql_proxy.connections == before:
            time.sleep(0.02)
        postgresql_proxy.resume()

    back = threading.Thread(target=resume, daemon=True)
    report = copy(
        *through(postgresql_proxy, pair, side),
        observer=Trouble(stall, 3),
        limits=Limits(memory="64 MiB", batch_rows=2_000, batch_seconds=1),
        workers=1,
        retry=Retry(attempts=10, first_seconds=0.1, longest_seconds=1),
    )
    back.join()
    assert content(target) == content(source)
    assert report.timeouts >= 1


# -- COMMIT --------------------------------------------------------------------------------------------------


class CommitCutter(Proxy):
    """Passes every COMMIT on to the server, and cuts every second one's connection before the answer."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.commits = 0
        self._answers_nothing: set[socket.socket] = set()

    def _forward(self, data: bytes, sink: socket.socket) -> None:
        if sink in self._answers_nothing:
            raise ConnectionAbortedError
        if b"\0commit\0\0\0B" in data:  # Parse, then Bind and Execute; the driver sends Parse alone, too
            self.commits += 1
            if self.commits % 2:
                client = self._sockets[self._sockets.index(sink) - 1]
                self._answers_nothing.add(client)
                sink.sendall(data)
                time.sleep(0.1)  # for the server to commit
                hang_up([client, sink])
                raise ConnectionAbortedError
        super()._forward(data, sink)


@pytest.fixture
def commit_cutter(postgresql_server: Server) -> Iterator[CommitCutter]:
    with CommitCutter(postgresql_server.host, postgresql_server.port) as proxy:
        yield proxy


@newest_server
@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_connection_lost_in_commit_adds_no_row_twice(
    pair: tuple[Database, Database], commit_cutter: CommitCutter, mode: str
) -> None:
    source, target = pair
    if mode != "create":
        make_rows(target, 0)
    report = copy(*through(commit_cutter, pair, "target"), mode=mode, limits=LIMITS, workers=2)
    assert content(target) == content(source)
    assert (report.rows_written, report.status) == (ROWS, "complete")
    assert commit_cutter.commits > report.partitions
    assert target.execute("select status from arrowsync.transfers") == [("complete",)]


@newest_server
def test_without_a_journal_a_commit_without_answer_is_an_error(
    pair: tuple[Database, Database], commit_cutter: CommitCutter
) -> None:
    with pytest.raises(TransferError, match="commit was not answered"):
        copy(*through(commit_cutter, pair, "target"), journal=None)
