"""Whether a PostgreSQL target is what it was; locks of runs; the journal's place. Of sources: guard.py."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import Phase, Unfinished
from arrowsync.core.table import TableName
from arrowsync.core.units import MiB
from arrowsync.dialects.ansi import Dialect
from arrowsync.dialects.postgresql.blocks import do_block, quote_text
from arrowsync.errors import ConfigError, TransientError

_MARK = """
select oid::int8, coalesce(pg_relation_filenode(oid), 0)::int8, pg_stat_get_tuples_deleted(oid)
from pg_class where oid = to_regclass($1)
"""


def mark(connection: Connection, dialect: Dialect, name: TableName) -> dict[str, Any] | None:
    """The table's oid and file, which it changes when it is emptied or rewritten; rows deleted so far."""
    found = connection.rows(_MARK, [dialect.quote_table(name)])
    return dict(zip(("oid", "file", "deleted"), found[0], strict=True)) if found else None


def landing(
    connection: Connection, dialect: Dialect, unfinished: Unfinished
) -> Literal["kept", "changed", "other"]:
    now, then = mark(connection, dialect, unfinished.landing_name), unfinished.state["mark"]
    if now is None or now["oid"] != then["oid"]:
        return "other"
    if unfinished.phase is Phase.PUBLISHED:
        # VACUUM FULL rewrites a table, too.
        return "kept" if _holds(connection, dialect, unfinished, now["file"]) else "changed"
    return "kept" if now["file"] == then["file"] else "changed"


def _holds(connection: Connection, dialect: Dialect, published: Unfinished, file: int) -> bool:
    """Whether the table has not been emptied since: of another file it holds as many rows as came in."""
    table = dialect.quote_table(published.landing_name)
    if file != published.state["mark"]["file"]:
        return int(connection.rows(f"select count(*) from {table}")[0][0]) >= published.rows
    return not published.rows or bool(connection.rows(f"select 1 from {table} limit 1"))


def rows_lost(connection: Connection, dialect: Dialect, unfinished: Unfinished) -> int:
    """By the server's statistics, which sessions report when they end; all where the table was emptied."""
    now, then = mark(connection, dialect, unfinished.landing_name), unfinished.state["mark"]
    if now is None or now["oid"] != then["oid"]:
        return unfinished.rows
    [(rows,)] = connection.rows(f"select count(*) from {dialect.quote_table(unfinished.landing_name)}")
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


def booked(connection: Connection, dialect: Dialect, name: TableName, rows: int) -> bool:
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


_LOCK_TIMEOUT = "55P03"


def lock(connection: Connection, key: str, seconds: float) -> bool:
    """An advisory lock of the session: the server releases it when the connection is gone."""
    number = _lock_number(key)
    if connection.rows("select pg_try_advisory_lock($1)", [number])[0][0]:
        return True
    if not seconds:
        return False
    connection.run(f"set lock_timeout = {round(seconds * 1000)}")
    try:
        connection.rows("select pg_advisory_lock($1)::text", [number])
    except TransientError as error:
        if error.sqlstate == _LOCK_TIMEOUT:
            return False
        raise
    return True


def unlock(connection: Connection, key: str) -> None:
    connection.rows("select pg_advisory_unlock($1)", [_lock_number(key)])


_HOLDERS = """
select 1 from pg_locks l join pg_database d on d.oid = l.database
where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and d.datname = current_database()
  and l.classid::int8 = $1 and l.objid::int8 = $2
"""


def is_locked(connection: Connection, key: str) -> bool:
    halves = divmod(_lock_number(key) % 2**64, 2**32)
    return bool(connection.rows(_HOLDERS, halves))


def _lock_number(key: str) -> int:
    digest = hashlib.sha256(f"arrowsync {key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


# -- the journal's place -----------------------------------------------------------------------------------

_USABLE = """
select has_schema_privilege(n.oid, 'usage') and coalesce(
    (select bool_and(has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
       and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
     from pg_class c where c.relnamespace = n.oid and c.relname in ($2, $3)),
    has_schema_privilege(n.oid, 'create'))
from pg_namespace n where n.nspname = $1
"""


def locate_journal(
    connection: Connection, dialect: Dialect, journal: str, name: TableName
) -> tuple[TableName, TableName]:
    """A schema of its own; without the right to make one, tables beside the target."""
    beside = tuple(TableName(f"{journal}_{table}", name.schema) for table in ("transfers", "receipts"))
    for transfers, receipts in (dialect.journal_tables(journal), beside):
        usable = connection.rows(_USABLE, [transfers.schema or "", transfers.name, receipts.name])
        if not usable:
            usable = connection.rows("select has_database_privilege(current_database(), 'create')")
        if usable[0][0]:
            return transfers, receipts
    raise ConfigError(
        f"no right to keep a journal: neither to create a schema {journal!r}, nor tables in {name.schema!r}",
        hint="Grant create on one of them, or copy each table in one transaction: --no-journal",
    )


def find_journals(connection: Connection, journal: str) -> list[tuple[TableName, TableName]]:
    found = connection.rows(
        """select n.nspname::text, c.relname::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where (n.nspname = $1 and c.relname = 'transfers' or c.relname = $1 || '_transfers')
          and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
        order by n.nspname <> $1, n.nspname""",
        [journal],
    )
    return [
        (TableName(name, schema), TableName(name.removesuffix("transfers") + "receipts", schema))
        for schema, name in found
    ]


def create_journal(dialect: Dialect, journal: str) -> tuple[str, ...]:
    """Two that create at once would fail in the catalogue, `if not exists` or not: one waits for the other.

    `create schema if not exists` wants the right to create even where there is nothing to do.
    """
    name = quote_text(journal)
    return (
        do_block(
            "begin perform pg_advisory_xact_lock(hashtextextended('arrowsync journal', 0)); "
            f"if not exists (select from pg_namespace where nspname = {name}) "
            f"then create schema {dialect.quote(journal)}; end if; end"
        ),
    )
