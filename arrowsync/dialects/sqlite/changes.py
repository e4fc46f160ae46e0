"""Whether a SQLite file is what it was as a source, a table as a target; where runs lock each other out."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import Unfinished
from arrowsync.core.table import TableName
from arrowsync.core.transfer import WriteMode
from arrowsync.dialects.sqlite.sql import quote

TICK_SECONDS = 0.02  # a file's time advances with the kernel's clock, every 10 ms at the slowest
LOOKS = 5  # at a file that somebody writes to all the time


def state(connection: Connection) -> dict[str, Any]:
    """Size and time of the file and of its write-ahead log, where a later write shows.

    SQLite's change counter stands still in WAL mode, and data_version means something to one connection only.
    Nothing here opens the file: closing it again would drop this process's locks on it.
    """
    paths = [str(row[2]) for row in connection.rows("pragma database_list") if row[1] == "main"]
    for _ in range(LOOKS):
        files = {path: _stat(path) for name in paths for path in (name, f"{name}-wal")}
        now = time.time_ns()
        if all(abs(now - found[1]) >= TICK_SECONDS * 1e9 for found in files.values() if found):
            return files
        # A write in the same tick would leave the time as it is: look when it has passed.
        time.sleep(TICK_SECONDS)
    return {"written": now}  # the same as no other


def _stat(path: str) -> list[int] | None:
    with suppress(FileNotFoundError):
        found = os.stat(path)
        return [found.st_size, found.st_mtime_ns, found.st_ino] if found.st_size else None
    return None


def mark(connection: Connection, name: TableName) -> dict[str, Any] | None:
    """How the table was made and how many rows it holds."""
    made = connection.rows("select sql from sqlite_master where type = 'table' and name = ?", [name.name])
    if not made:
        return None
    [(rows,)] = connection.rows(f"select count(*) from {quote(name.name)}")
    return {"sql": made[0][0], "rows": rows}


def landing(
    connection: Connection, unfinished: Unfinished, name: TableName
) -> Literal["kept", "changed", "other"]:
    """By its count: as many rows as there were plus those of the receipts; others may append, too."""
    now, then = mark(connection, name), unfinished.state["mark"]
    if now is None or now["sql"] != then["sql"]:
        return "other"
    expected = then["rows"] + sum(receipt.rows for receipt in unfinished.receipts)
    appended = unfinished.request["mode"] == WriteMode.APPEND and now["rows"] >= expected
    return "kept" if appended or now["rows"] == expected else "changed"


def lock_file(path: Path, name: TableName) -> Path:
    """Beside the database, so that every user of the file finds it."""
    digest = hashlib.sha256(name.name.lower().encode()).hexdigest()[:8]
    return path.with_name(f"{path.name}-arrowsync-{digest}")
