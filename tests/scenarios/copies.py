"""What the scenarios copy, and a child process that copies it, for tests that kill or interrupt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

import arrowsync
from arrowsync import Limits, Report, Retry
from arrowsync.core.events import BatchWritten, Event
from tests.fix_postgresql import INSTALLATIONS, Database, Server, new_database_sql

QUICK = Retry(attempts=5, first_seconds=0.1, longest_seconds=1.0)

# Arguments: JSON of copy()'s; `kill_at`: rows written before the process ends itself with SIGKILL,
# `kill_after` seconds later, wherever its threads are then.
CHILD = """
import json, os, signal, sys, threading, time
import arrowsync
from arrowsync.core.events import BatchWritten, TableStarted
told = json.loads(sys.argv[1])
source, target, kill_at = told.pop("source"), told.pop("target"), told.pop("kill_at", None)
kill_after = told.pop("kill_after", 0)
told["limits"] = arrowsync.Limits(**told.get("limits", {}))
told["retry"] = arrowsync.Retry(**told.get("retry", {}))
rows = 0
def kill():
    time.sleep(kill_after)
    os.kill(os.getpid(), signal.SIGKILL)
def observe(event):
    global rows
    if isinstance(event, TableStarted):
        print("started", flush=True)
    if isinstance(event, BatchWritten):
        rows += event.rows
        print(rows, flush=True)
    if kill_at is not None and isinstance(event, TableStarted | BatchWritten) and rows >= kill_at:
        threading.Thread(target=kill, daemon=True).start()
try:
    report = arrowsync.copy(source, target, observer=observe, progress=False, **told)
    print(json.dumps(report.to_dict()), flush=True)
except arrowsync.ArrowsyncError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)
    sys.exit(1)
except KeyboardInterrupt as interrupt:
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("arrowsync")]
    print(json.dumps({"interrupted": interrupt.report.to_dict(), "threads": threads}), flush=True)
    sys.exit(130)
"""


def start_child(source: str, target: str, **told: Any) -> subprocess.Popen[str]:
    """Begin a copy in another process; its stdout tells of the start, each batch, and of the end as JSON."""
    arguments = json.dumps({"source": source, "target": target, **told})
    return subprocess.Popen([sys.executable, "-c", CHILD, arguments], stdout=subprocess.PIPE, text=True)


@contextmanager
def child(source: str, target: str, **told: Any) -> Iterator[subprocess.Popen[str]]:
    """A child that does not outlive the test."""
    process = start_child(source, target, **told)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def killed_child(source: str, target: str, **told: Any) -> None:
    """Copy in another process until it kills itself."""
    with child(source, target, **told) as process:
        words, _ = process.communicate(timeout=60)
        assert process.returncode == -9, words


def wait_for(process: subprocess.Popen[str], *, rows: int = 0) -> None:
    """Until the child has started, or written so many rows."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("started") and not rows:
            return
        if line.strip().isdigit() and int(line) >= rows:
            return
    raise AssertionError("the child ended before")


def last_word(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the child says at its end."""
    output, _ = process.communicate(timeout=90)
    words: dict[str, Any] = json.loads(output.splitlines()[-1])
    return words


@contextmanager
def database_of(server: Server) -> Iterator[Database]:
    """A database that outlives a test, for what takes long to make."""
    name = f"arrowsync_test_{uuid4().hex[:12]}"
    server.execute(new_database_sql(server, name))
    try:
        yield Database(server, name)
    finally:
        server.start()
        server.execute(f"drop database {name} with (force)")


def make_rows(database: Database, rows: int, *, name: str = "t", keyed: bool = True) -> None:
    """A table of about 60 bytes a row, analyzed, so that it is cut by its key, or else by ctid."""
    key = " primary key" if keyed else ""
    database.execute(f"create table {name} (id bigint{key}, amount int, name text)")
    add_rows(database, 1, rows, name=name)
    database.execute(f"analyze {name}")


def add_rows(database: Database, first: int, last: int, *, name: str = "t") -> None:
    database.execute(
        f"insert into {name} select g, g % 1000, 'row number ' || g from generate_series({first}, {last}) g"
    )


def content(database: Database, name: str = "t") -> tuple[Any, ...]:
    """Count and a sum over every row, by the server itself."""
    return database.execute(f"select count(*), sum(hashtext(x::text)::bigint) from {name} x")[0]


def copy(source: str, target: str, **told: Any) -> Report:
    told.setdefault("retry", QUICK)
    told.setdefault("limits", Limits(partition_bytes="1 MiB"))
    told.setdefault("table", "t")
    return arrowsync.copy(source, target, progress=False, **told)


def interrupted(source: str, target: str, *, rows: int, **told: Any) -> Report:
    """Copy in this process and interrupt after so many rows, as Ctrl-C would; what was reported."""
    written = 0

    def observe(event: Event) -> None:
        nonlocal written
        if isinstance(event, BatchWritten):
            written += event.rows
            if written >= rows:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupt:
        copy(source, target, observer=observe, **told)
    report: Report = interrupt.value.report  # type: ignore[attr-defined]  # put there by Plan.run
    return report


# For what asks nothing of a server's version.
newest_server = pytest.mark.parametrize(
    "postgresql_server",
    INSTALLATIONS[:1] or ["given"],
    indirect=True,
    ids=["newest"],
)
