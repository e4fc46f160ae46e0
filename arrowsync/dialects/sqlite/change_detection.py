"""Whether a SQLite file is what it was as a source, a table as a target; where runs lock each other out."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Phase, Unfinished
from arrowsync.core.table import TableName
from arrowsync.dialects.sqlite.location import header
from arrowsync.dialects.sqlite.sql import quote

TICK_SECONDS = 0.02  # a file's time advances with the kernel's clock, every 10 ms at the slowest
LOOKS = 5  # at a file that somebody writes to all the time


def state(connection: Connection, plan: TablePlan) -> dict[str, Any]:
    """How the table is made, and what the file is that holds it."""
    made = connection.rows(
        "select sql from sqlite_master where type = 'table' and name = ?", [plan.source.name.name]
    )
    [(version,)] = connection.rows("pragma schema_version")
    return {"shape": plan.source.shape(made), "schema": version, "files": files(connection)}


def files(connection: Connection) -> dict[str, Any]:
    """Size, times and header of the file, size and times of its write-ahead log: a later write shows there.

    SQLite's change counter stands still in WAL mode, and data_version means something to one connection only.
    Nothing here closes the file: that would drop this process's locks on it.
    """
    paths = [str(row[2]) for row in connection.rows("pragma database_list") if row[1] == "main"]
    for _ in range(LOOKS):
        found = {path: _stat(path) for name in paths for path in (name, f"{name}-wal")}
        now = time.time_ns()
        times = (each for facts in found.values() if facts for each in facts[:2])
        if all(abs(now - each) >= TICK_SECONDS * 1e9 for each in times):
            return {**found, "header": [header(Path(name)).hex() for name in paths]}
        # A write in the same tick would leave the time as it is: look when it has passed.
        time.sleep(TICK_SECONDS)
    return {"written": now}  # the same as no other


def _stat(path: str) -> list[int] | None:
    """A copy that keeps the time of what it copies (`cp -p`) does not keep the time of the change."""
    with suppress(FileNotFoundError):
        found = os.stat(path)
        return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino] if found.st_size else None
    return None


def table_version(connection: Connection, name: TableName) -> dict[str, Any] | None:
    """How the table was made and how many rows it holds."""
    made = connection.rows("select sql from sqlite_master where type = 'table' and name = ?", [name.name])
    if not made:
        return None
    [(rows,)] = connection.rows(f"select count(*) from {quote(name.name)}")
    return {"sql": made[0][0], "rows": rows}


def write_table_state(connection: Connection, unfinished: Unfinished) -> Literal["kept", "changed", "other"]:
    """By its count: as many rows as there were plus those of the receipts; others may append, too.

    A published table is the users' already: it may have lost rows, but not all.
    """
    now, then = table_version(connection, unfinished.write_table_name), unfinished.state["mark"]
    if now is None or now["sql"] != then["sql"]:
        return "other"
    if unfinished.phase is Phase.PUBLISHED:
        return "kept" if now["rows"] or not unfinished.rows else "changed"
    expected = then["rows"] + unfinished.rows
    appended = unfinished.write.adds and now["rows"] >= expected
    return "kept" if appended or now["rows"] == expected else "changed"


def rows_lost(connection: Connection, unfinished: Unfinished) -> int:
    """By the count: how many of the rows that were there, or came in, are not there."""
    now, then = table_version(connection, unfinished.write_table_name), unfinished.state["mark"]
    if now is None or now["sql"] != then["sql"]:
        return unfinished.rows
    came = 0 if unfinished.phase is Phase.PUBLISHED else unfinished.rows
    return max(0, int(then["rows"]) + came - int(now["rows"]))


def lock_file(path: Path, key: str) -> Path:
    """Beside the database, so that every user of the file finds it."""
    digest = hashlib.sha256(key.lower().encode()).hexdigest()[:8]
    return path.with_name(f"{path.name}-arrowsync-{digest}")
