"""Whether a target table is what an unfinished run has left, or holds what came in. Of sources: guard.py."""

from __future__ import annotations

import time
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.receipts import Phase, Unfinished
from arrowsync.core.table import TableName
from arrowsync.core.units import MiB
from arrowsync.dialects.dialect import Dialect

_MARK = """
select oid::int8, coalesce(pg_relation_filenode(oid), 0)::int8, pg_stat_get_tuples_deleted(oid)
from pg_class where oid = to_regclass($1)
"""


def table_version(connection: Connection, dialect: Dialect, name: TableName) -> dict[str, Any] | None:
    """The table's oid and file, which it changes when it is emptied or rewritten; rows deleted so far."""
    found = connection.rows(_MARK, [dialect.quote_table(name)])
    return dict(zip(("oid", "file", "deleted"), found[0], strict=True)) if found else None


def write_table_state(
    connection: Connection, dialect: Dialect, unfinished: Unfinished
) -> Literal["kept", "changed", "other"]:
    now, then = table_version(connection, dialect, unfinished.write_table_name), unfinished.state["mark"]
    if now is None or now["oid"] != then["oid"]:
        return "other"
    if unfinished.phase is Phase.PUBLISHED:
        # VACUUM FULL rewrites a table, too.
        return "kept" if _holds(connection, dialect, unfinished, now["file"]) else "changed"
    return "kept" if now["file"] == then["file"] else "changed"


def _holds(connection: Connection, dialect: Dialect, published: Unfinished, file: int) -> bool:
    """Whether the table has not been emptied since: of another file it holds as many rows as came in."""
    table = dialect.quote_table(published.write_table_name)
    if file != published.state["mark"]["file"]:
        return int(connection.rows(f"select count(*) from {table}")[0][0]) >= published.rows
    return not published.rows or bool(connection.rows(f"select 1 from {table} limit 1"))


def rows_lost(connection: Connection, dialect: Dialect, unfinished: Unfinished) -> int:
    """By the server's statistics, which sessions report when they end; all where the table was emptied."""
    now, then = table_version(connection, dialect, unfinished.write_table_name), unfinished.state["mark"]
    if now is None or now["oid"] != then["oid"]:
        return unfinished.rows
    [(rows,)] = connection.rows(f"select count(*) from {dialect.quote_table(unfinished.write_table_name)}")
    return max(int(now["deleted"]) - int(then["deleted"]), unfinished.rows if rows < unfinished.rows else 0)


# Counting sets the hint bits of rows just committed. With checksums, PostgreSQL 18's default, each page that
# this touches first after a checkpoint is logged whole: the count of 6 M rows wrote 880 MB of WAL where the
# copy had written 740, and took 1.4 s.
COUNT_ANYWAY = 128 * MiB  # of heap: no more than a default server's shared_buffers
_BOOKS = """
select pg_stat_get_tuples_inserted(c.oid) = $2
  and pg_stat_get_tuples_updated(c.oid) = 0 and pg_stat_get_tuples_deleted(c.oid) = 0
from pg_class c where c.oid = to_regclass($1) and c.relkind = 'r' and pg_relation_size(c.oid) > $3
"""
_REPORTED = (0.0, 0.01, 0.02, 0.05)  # seconds to wait for what sessions report when they end


def count_from_statistics(connection: Connection, dialect: Dialect, name: TableName, rows: int) -> bool:
    """Whether a large table has had so many rows inserted since it was made, and none updated or deleted.

    Rolled back rows, and those of an earlier life of the table, are among them: then the books prove nothing.
    Other sessions may report up to 10 s late; ours have ended.
    """
    for seconds in _REPORTED:
        time.sleep(seconds)
        found = connection.rows(_BOOKS, [dialect.quote_table(name), rows, COUNT_ANYWAY])
        if not found or found[0][0]:
            return bool(found)
    return False
