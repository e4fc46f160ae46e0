"""Locks against DDL on what a copy reads, from before its snapshot until it ends; who stands in their way."""

from __future__ import annotations

from collections.abc import Sequence

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.connection import LOCK_TIMEOUT
from arrowsync.dialects.postgresql.partitions import relation
from arrowsync.errors import ArrowsyncError, LockHeld

PATIENCE = "2s"  # for one table: whoever has it locked may have it for hours, and the guard will do without

# Both who has the table and who waits to have it alone: a queue is kept.
_HOLDER = """
with recursive tree(oid) as (
  select to_regclass($1)::oid union select inhrelid from tree join pg_inherits on inhparent = tree.oid
)
select a.pid, coalesce(a.state, a.backend_type), coalesce(extract(epoch from now() - a.query_start), 0)::int8
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
  and l.relation in (select oid from tree)
order by not l.granted, a.query_start limit 1
"""


def hold(connection: Connection, dialect: Dialect, plans: Sequence[TablePlan]) -> dict[TableName, str]:
    """Take ACCESS SHARE on what the plans read; of those that cannot be had, why.

    In a transaction without a snapshot: LOCK TABLE takes none, so that nothing can come between. What it does
    not work for a query locks: foreign tables, materialized views, tables with a right to some columns only.
    """
    refused: dict[TableName, str] = {}
    connection.run(f"set local lock_timeout = '{PATIENCE}'")
    named = [plan for plan in plans if plan.source.kind != "query"]
    by_query = [plan for plan in plans if plan.source.kind == "query"]
    if named and _refusal(connection, _lock_table(dialect, named)):
        for plan in named:
            error = _refusal(connection, _lock_table(dialect, [plan]))
            if isinstance(error, LockHeld):
                refused[plan.source.name] = _unlocked(connection, dialect, plan)
            elif error:
                by_query.append(plan)
    for plan in by_query:
        if error := _refusal(connection, _lock_by_query(dialect, plan)):
            refused[plan.source.name] = f"not locked against changes of its structure: {error.message}"
    connection.run(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    return refused


def _lock_table(dialect: Dialect, plans: Sequence[TablePlan]) -> str:
    return f"lock table {', '.join(relation(dialect, plan.source) for plan in plans)} in access share mode"


def _lock_by_query(dialect: Dialect, plan: TablePlan) -> str:
    columns = ", ".join(dialect.quote(column.name) for column in plan.source.columns)
    return f"select {columns} from {relation(dialect, plan.source)} limit 0"


def _refusal(connection: Connection, statement: str) -> ArrowsyncError | None:
    """The statement's error, when the transaction goes on without it."""
    refusal = None
    connection.run("savepoint lock")
    try:
        connection.run(statement)
    except ArrowsyncError as error:
        refusal = error
        connection.run("rollback to savepoint lock")
    connection.run("release savepoint lock")  # in both cases: no snapshot is exported from within one
    return refusal


def _unlocked(connection: Connection, dialect: Dialect, plan: TablePlan) -> str:
    """Asked on another connection: this one's transaction must not see anything yet."""
    with connection.another() as other:
        found = other.rows(_HOLDER, [dialect.quote_table(plan.source.name)])
    sentence = "not locked against changes of its structure, which the copy will notice"
    if not found:
        return f"{sentence}: another session had it locked"
    pid, activity, seconds = found[0]
    return f"{sentence}: pid {pid}, {activity} for {seconds} s, has it locked or waits to"
