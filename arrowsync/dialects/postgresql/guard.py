"""Whether DDL has changed what a snapshot shows of a table: noted before, compared by each reader.

A snapshot covers rows, not files and catalogues. After TRUNCATE, and after an ALTER or REFRESH that writes
the relation anew, an older snapshot finds an empty file or another moment's rows; a partition that is
attached or detached joins or leaves it at once; a column is whichever bears its name now. None is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition, Receipt
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.partitions import rows_of
from arrowsync.dialects.postgresql.source_locks import PATIENCE
from arrowsync.errors import ArrowsyncError, LockHeld, SchemaError, TableChanged, TransientError

WHOLE = Partition(0)

# What a transaction reads, by what it has locked: the table, its partitions, and what a view, a condition or
# a policy reads. Below 16384 are the system's own.
_LOCKED = """
select distinct relation::int8, coalesce(pg_relation_filenode(relation), 0)::int8,
  coalesce(pg_partition_root(relation)::oid::int8, 0)
from pg_locks
where pid = pg_backend_pid() and locktype = 'relation' and relation >= 16384
  and pg_get_indexdef(relation) is null
order by 1
"""
_UNLOCKED = """
with recursive tree(oid) as (
  select to_regclass($1)::oid
  union
  select i.inhrelid from tree
  join pg_class p on p.oid = tree.oid and p.relkind = 'p' join pg_inherits i on i.inhparent = p.oid
)
select oid::int8, coalesce(pg_relation_filenode(oid), 0)::int8,
  coalesce(pg_partition_root(oid)::oid::int8, 0)
from tree where oid is not null order by 1
"""
# Rows have the last 32 bits of a transaction's number; what was committed after a snapshot bears a later one
# than any that was running then. Statistics would not do: sessions report their changes up to 10 s late.
# Types get their full names, as in the plan.
_MOMENT = """
select (select system_identifier::text from pg_control_system()),
  pg_snapshot_xmin(pg_current_snapshot())::text, set_config('search_path', '', true)
"""
# The expressions of generated columns as the server stores them: their text depends on search_path.
_COLUMNS = """
select a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypid::int8, a.attnum::int8, d.adbin::text,
  (pg_identify_object('pg_class'::regclass, a.attrelid, a.attnum)).identity
from pg_attribute a
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''
where a.attrelid = to_regclass(nullif($1, '')) and a.attnum > 0 and not a.attisdropped
  and a.attname::text = any($2::text[])
order by a.attnum
"""
# In a transaction with a snapshot pg_class and pg_attribute are as old as that. These functions look at what
# there is now: pg_relation_filenode, pg_partition_root, and pg_identify_object, which names a column.
_NOW = """
with noted as (
  select (relation ->> 0)::int8 as oid, (relation ->> 1)::int8 as file, (relation ->> 2)::int8 as root
  from json_array_elements($3::text::json) as relation
)
select exists (
    select from noted
    where coalesce(pg_relation_filenode(oid::oid), 0)::int8 <> file
      or coalesce(pg_partition_root(oid::oid)::oid::int8, 0) <> root)
  or exists (
    select from pg_locks
    where pid = pg_backend_pid() and locktype = 'relation'
      and pg_partition_root(relation)::oid::int8 in (select root from noted)
      and relation::int8 not in (select oid from noted)),
  (select string_agg(
      (pg_identify_object('pg_class'::regclass, attrelid, attnum)).identity, ' ' order by attnum)
  from pg_attribute
  where attrelid = to_regclass(nullif($1, '')) and attnum > 0 and not attisdropped
    and attname::text = any($2::text[]))
"""


def state(connection: Connection, dialect: Dialect, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
    """What the plan's relations are now; {} where they are no longer as they were planned."""
    try:
        relations, types = _relations(connection, dialect, plan)
        server, transaction, _ = connection.rows(_MOMENT)[0]
        columns = connection.rows(_COLUMNS, _named(dialect, plan))
    except TransientError:
        raise
    except ArrowsyncError:  # a column or the table is gone
        return {}
    finally:
        with suppress(ArrowsyncError):  # the connection is gone, and its transaction with it
            connection.run("rollback")
    if plan.source.kind != "query":
        now = {name: (type, oid) for name, type, oid, *_ in columns}
        if any(now.get(column.name, ("",))[0] != column.type for column in plan.source.columns):
            return {}
        types = [now[column.name][1] for column in plan.source.columns]
    return {
        "server": server,
        "transaction": transaction,
        "shape": plan.source.shape(columns),
        "relations": relations,
        "types": types,
        "names": " ".join(identity for *_, identity in columns),
    }


def _relations(
    connection: Connection, dialect: Dialect, plan: TablePlan
) -> tuple[list[list[int]], list[int]]:
    """The relations that the plan reads, each with its file and the root of its partitions; its types.

    A table that another session has locked is not waited for: the catalogue, too, knows what belongs to it.
    """
    connection.run("begin read only")
    connection.run(f"set local lock_timeout = '{PATIENCE}'")
    types: list[int] = []
    try:
        types = _lock(connection, dialect, plan, WHOLE)
        found = connection.rows(_LOCKED)
    except LockHeld:
        if plan.source.kind == "query":
            raise
        connection.run("rollback")
        connection.run("begin read only")
        found = connection.rows(_UNLOCKED, [dialect.quote_table(plan.source.name)])
    return [[int(number) for number in relation] for relation in found], types


def _lock(connection: Connection, dialect: Dialect, plan: TablePlan, partition: Partition) -> list[int]:
    """Lock what the partition is read from, until the transaction ends; its columns' types of now."""
    names = [dialect.quote(column.name) for column in plan.source.columns]
    types = ", ".join(f"pg_typeof(part.{name})::oid::int8" for name in names)
    rows = f"select {', '.join(names)} {rows_of(dialect, plan, partition)} limit 0"
    query = f"select array[{types}]::int8[] from (values (1)) as one left join ({rows}) as part on true"
    return [int(type) for type in connection.rows(query)[0][0]]


def _named(dialect: Dialect, plan: TablePlan) -> list[object]:
    """The table's quoted name, empty for a query's, and the names of the columns that are read."""
    name = "" if plan.source.kind == "query" else dialect.quote_table(plan.source.name)
    return [name, [column.name for column in plan.source.columns]]


def check(
    connection: Connection,
    dialect: Dialect,
    plan: TablePlan,
    partition: Partition,
    noted: Mapping[str, Any],
) -> None:
    """Lock what the partition is read from and compare it with what was noted. Raises TableChanged.

    In the reader's transaction and before its query: a connection that streams takes no other. What was
    compared stays so while the lock is held.
    """
    if not noted:
        raise SchemaError(
            f"table {plan.source.name} is not what it was when the copy was planned",
            hint="Run the same command again",
        )
    types = _lock(connection, dialect, plan, partition)
    now = [*_named(dialect, plan), json.dumps(noted["relations"])]
    [(changed, names)] = connection.rows(_NOW, now)
    if changed or (types, names or "") != (noted["types"], noted["names"]):
        raise TableChanged(
            f"table {plan.source.name} was emptied, rewritten or altered while it was copied: "
            "the snapshot no longer shows its rows"
        )


# -- since an earlier run ----------------------------------------------------------------------------------

# The numbers below 3 are nobody's.
_NEXT = "(select pg_snapshot_xmax(pg_current_snapshot())::text::int8)"
_COUNT = (
    "select count(*), count(*) filter (where xmin::text::int8 > 2 "
    f"and {_NEXT} - (({_NEXT} - xmin::text::int8) & 4294967295) >= {{}}) "
)
# A condition with a query of its own may choose other rows when other tables have changed.
_OTHERS = re.compile(r"\b(select|table)\b", re.IGNORECASE)


def unchanged(
    connection: Connection,
    dialect: Dialect,
    plan: TablePlan,
    receipts: Sequence[Receipt],
    then: Mapping[str, Any],
    now: Mapping[str, Any],
) -> bool:
    """Count the rows of the copied partitions, and those among them that are newer than the first snapshot.

    As many as were read, and none newer: none has come, changed or gone. Other partitions may have changed.
    """
    if plan.source.kind != "table" or _OTHERS.search(plan.where or ""):
        return False
    if not then or any(then.get(each) != now.get(each) for each in ("server", "shape", "relations")):
        return False
    count = _COUNT.format(int(then["transaction"]))
    partitions = {partition.number: partition for partition in plan.partitions}
    for receipt in receipts:
        [(rows, newer)] = connection.rows(count + rows_of(dialect, plan, partitions[receipt.partition]))
        if newer or rows != receipt.rows + receipt.quarantined:
            return False
    return True
