"""Ctrl-C and SIGTERM: what runs is rolled back, nothing outlives it, the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from arrowsync import Limits
from tests.fix_postgresql import Database
from tests.scenarios.copies import child, content, copy, interrupted, last_word, make_rows, newest_server
from tests.threads import threads_left

pytestmark = newest_server
ROWS = 60_000
SMALL: dict[str, Any] = {"partition_bytes": "512 KiB", "batch_rows": 2_000}


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


def sessions(*databases: Database) -> int:
    """Backends that other programs than the test's client have open."""
    names = ", ".join(f"'{database.name}'" for database in databases)
    [(count,)] = databases[0].server.execute(
        f"select count(*) from pg_stat_activity where datname in ({names}) and application_name = 'arrowsync'"
    )
    return int(count)


def advisory_locks(database: Database) -> int:
    [(count,)] = database.execute(
        "select count(*) from pg_locks l join pg_database d on d.oid = l.database "
        "where locktype = 'advisory' and datname = current_database()"
    )
    return int(count)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_copy_leaves_no_thread_connection_or_lock_and_goes_on(
    pair: tuple[Database, Database], workers: int
) -> None:
    source, target = pair
    connections = len(psutil.Process().net_connections())
    report = interrupted(source.uri, target.uri, rows=ROWS // 2, limits=Limits(**SMALL), workers=workers)
    assert threads_left() == []
    assert len(psutil.Process().net_connections()) == connections
    wait_until(lambda: sessions(source, target) == 0)
    assert advisory_locks(target) == 0
    assert report.status == "failed"
    assert [error.type for error in report.errors] == ["KeyboardInterrupt"]
    again = copy(source.uri, target.uri)
    assert again.rows_resumed == report.rows_written > 0
    assert content(target) == content(source)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("lock table t in share mode", id="ingest"),
        pytest.param("lock table arrowsync.receipts in share mode", id="claim"),
    ],
)
def test_an_interrupt_reaches_what_waits_on_the_server(
    pair: tuple[Database, Database], statement: str
) -> None:
    source, target = pair
    copy(source.uri, target.uri, target_table="first")  # makes the journal
    make_rows(target, 0)
    with (
        psycopg.connect(target.uri) as blocker,
        child(source.uri, target.uri, table="t", mode="append", limits=SMALL) as process,
    ):
        blocker.execute(statement)
        wait_until(lambda: waiting(target) > 0)
        process.send_signal(signal.SIGINT)
        word = last_word(process)  # while the blocker still blocks
        assert process.returncode == 130
        assert word["threads"] == []
        assert word["interrupted"]["rows_written"] == 0
    wait_until(lambda: sessions(source, target) == 0)


def waiting(database: Database) -> int:
    [(count,)] = database.execute(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
        "and application_name = 'arrowsync' and datname = current_database()"
    )
    return int(count)


def test_an_interrupt_while_planning_is_one_too(
    sqlite_file: Callable[..., Path], postgresql: Database
) -> None:
    make_rows(postgresql, ROWS)
    target = sqlite_file("create table t (id integer)", "target.db")
    with (
        psycopg.connect(postgresql.uri) as blocker,
        child(postgresql.uri, str(target), table="t") as process,
    ):
        blocker.execute("lock table t in access exclusive mode")
        wait_until(lambda: waiting(postgresql) > 0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode != 0
    wait_until(lambda: sessions(postgresql) == 0)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "arrowsync", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_exits_with_130_and_goes_on_afterwards(
    pair: tuple[Database, Database], number: signal.Signals
) -> None:
    source, target = pair
    make_rows(target, 0)
    arguments = ("copy", source.uri, target.uri, "-t", "t", "--mode", "append")
    with psycopg.connect(target.uri) as blocker:
        blocker.execute("lock table t in share mode")
        process = command(*arguments)
        try:
            wait_until(lambda: waiting(target) > 0)
            process.send_signal(number)
            process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    assert process.returncode == 130
    process = command(*arguments)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert content(target) == content(source)
