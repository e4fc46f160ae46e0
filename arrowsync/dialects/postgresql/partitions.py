"""Slices of a PostgreSQL table that cover each row once, and the query that reads one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Table
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.catalog import subquery
from arrowsync.dialects.postgresql.typename import TypeName

# Types whose order is the same everywhere; text orders differ by collation.
_INTEGERS = {"smallint", "integer", "bigint"}
_KEYS = _INTEGERS | {"uuid", "date", "timestamp with time zone", "timestamp without time zone"}
_CORRELATED = 0.9  # below it a key range touches nearly every page, so that each partition scans the table

# What decides how a table is cut: its kind, its pages now and when it was analyzed, the key's statistics.
# Bounds travel as text that the session's settings make canonical.
_FACTS = """
select c.relkind::text, a.amname, pg_relation_size(c.oid) / current_setting('block_size')::int8, c.relpages,
  pg_table_size(c.oid), s.correlation::float8, s.histogram_bounds::text::text[]
from pg_class c left join pg_am a on a.oid = c.relam
left join pg_stats s on s.schemaname = $1 and s.tablename = $2 and s.attname = $3
where c.oid = to_regclass($4)
"""
_GROWN = 1.2  # times the pages it was analyzed with: the histogram then knows nothing of the end


def partitions(connection: Connection, dialect: Dialect, table: Table, target_bytes: int) -> list[Partition]:
    """Key ranges where the key follows the heap, else ctid ranges of a plain heap, else the whole."""
    if table.kind != "table":
        return [Partition(0)]
    key = _key(table)
    named = [table.name.schema or "", table.name.name, key or "", dialect.quote_table(table.name)]
    kind, access, pages, known_pages, size, correlation, bounds = connection.rows(_FACTS, named)[0]
    if kind == "p":
        return _along_the_children(connection, named[-1], target_bytes)
    count = math.ceil(size / target_bytes)
    if kind != "r" or count < 2:
        return [Partition(0)]
    if key and bounds and abs(correlation or 0) >= _CORRELATED:
        numeric = TypeName.parse(table.column(key).type).cast in _INTEGERS
        if pages <= known_pages * _GROWN:
            return ranges(
                "key", key, _between([int(b) for b in bounds], count) if numeric else _some(bounds, count)
            )
        if numeric:
            query = f"select min({dialect.quote(key)}), max({dialect.quote(key)}) from only {named[-1]}"
            [ends] = connection.rows(query)
            # Pages may have no row left, and thus neither end.
            return ranges("key", key, _between(ends, count)) if None not in ends else [Partition(0)]
    if access == "heap":
        return ranges("ctid", None, [str(pages * number // count) for number in range(1, count)])
    return [Partition(0)]


# The column by whose ranges a table is partitioned; its partitions in the server's order, each with where it
# begins and its size. BC dates and long years would not sort as text.
_RANGED_BY = """
select a.attname, format_type(a.atttypid, null)
from pg_partitioned_table p
join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
where p.partrelid = to_regclass($1) and p.partstrat = 'r' and p.partnatts = 1
"""
_CHILDREN = r"""
select nullif(substring(pg_get_expr(c.relpartbound, c.oid) from $$^FOR VALUES FROM \('?([^']*)'?\) TO$$),
    'MINVALUE') as begin,
  (select sum(pg_table_size(relid)) from pg_partition_tree(c.oid))::int8 as size
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = to_regclass($1)
"""


def _along_the_children(connection: Connection, name: str, target_bytes: int) -> list[Partition]:
    """Ranges that begin where partitions of the table do, so that each reads partitions of its own."""
    keys = connection.rows(_RANGED_BY, [name])
    if not keys or keys[0][1] not in _KEYS:
        return [Partition(0)]
    [(key, type)] = keys
    ordered = f"select begin, size from ({_CHILDREN}) as children order by begin::{type} nulls first"
    cuts, full = [], 0
    for begin, size in connection.rows(ordered, [name]):
        if begin is not None and full and full + size > target_bytes:
            cuts.append(begin)
            full = 0
        full += size
    return ranges("key", key, cuts) if cuts else [Partition(0)]


def _key(table: Table) -> str | None:
    """The primary key's column, if there is one, of a type that orders the same everywhere."""
    columns = table.primary_key.columns if table.primary_key else ()
    if len(columns) != 1:
        return None
    return columns[0] if TypeName.parse(table.column(columns[0]).type).cast in _KEYS else None


def _between(bounds: Sequence[int], count: int) -> list[str]:
    """count - 1 numbers that cut what the bounds of equally full buckets cover; each once."""
    cuts = []
    for number in range(1, count):
        bucket, inside = divmod(number * (len(bounds) - 1), count)
        cuts.append(
            bounds[bucket] + (bounds[min(bucket + 1, len(bounds) - 1)] - bounds[bucket]) * inside // count
        )
    return [str(cut) for cut in dict.fromkeys(cuts)]


def slices(
    connection: Connection, dialect: Dialect, plan: TablePlan, target_bytes: int
) -> list[tuple[Partition, ...]]:
    """Ranges of pages where partitions are such, or the whole of a plain heap; else of the numbers of a key.

    Not where a condition chooses rows: an index may find them, and would be asked for every slice.
    """
    table = plan.source
    uncut: list[tuple[Partition, ...]] = [(partition,) for partition in plan.partitions]
    if table.kind != "table" or plan.where:
        return uncut
    name = dialect.quote_table(table.name)
    kind, access, pages, _, size, *_ = connection.rows(_FACTS, ["", "", "", name])[0]
    if kind != "r" or access != "heap" or size <= target_bytes:
        return uncut
    key = next((partition.column for partition in plan.partitions if partition.by == "key"), None)
    if key is None:
        step = max(1, target_bytes * pages // size)  # a page of the heap has its share of what is beside it
        return [_cut(partition, 0, pages, step) for partition in plan.partitions]
    if TypeName.parse(table.column(key).type).cast not in _INTEGERS:
        return uncut
    query = f"select min({dialect.quote(key)}), max({dialect.quote(key)}) from only {name}"
    [(first, last)] = connection.rows(query)
    if first is None:
        return uncut
    count = math.ceil(size / len(plan.partitions) / target_bytes)  # of each: they are about equally full
    return [_cut(partition, first, last + 1, None, count) for partition in plan.partitions]


def _cut(
    partition: Partition, first: int, end: int, step: int | None, count: int = 1
) -> tuple[Partition, ...]:
    """Slices `step` wide, or so many; the partition's own ends stay as they are, open or not."""
    first = first if partition.lower is None else int(partition.lower)
    end = end if partition.upper is None else int(partition.upper)
    step = step or max(1, math.ceil((end - first) / count))
    ends = [partition.lower, *map(str, range(first + step, end, step)), partition.upper]
    by = "ctid" if partition.by == "whole" else partition.by
    return tuple(replace(partition, by=by, lower=lower, upper=upper) for lower, upper in pairwise(ends))


def _some(bounds: Sequence[str], count: int) -> list[str]:
    """At most count - 1 of the bounds of equally full buckets, evenly."""
    picked = [bounds[len(bounds) * number // count] for number in range(1, count)]
    return [cut for cut in dict.fromkeys(picked) if cut != bounds[0]]


def ranges(by: Literal["key", "ctid"], column: str | None, cuts: Sequence[str]) -> list[Partition]:
    """One partition more than cuts, the first and last without an end."""
    ends = [None, *cuts, None]
    return [
        Partition(number, by, column, lower, upper) for number, (lower, upper) in enumerate(pairwise(ends))
    ]


# -- reading one -------------------------------------------------------------------------------------------


def select(dialect: Dialect, plan: TablePlan, partition: Partition) -> str:
    """The partition's rows, each column in its route's form."""
    columns = ", ".join(f"{c.route.form.select} as {dialect.quote(c.source.name)}" for c in plan.columns)
    return f"select {columns} {rows_of(dialect, plan, partition)}"


def rows_of(dialect: Dialect, plan: TablePlan, partition: Partition) -> str:
    """from … where …: the partition's rows."""
    conditions = _within(dialect, plan.source, partition)
    if plan.where:
        conditions.append(f"({plan.where}\n)")
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"from {relation(dialect, plan.source)}{where}"


def relation(dialect: Dialect, table: Table) -> str:
    if table.kind == "query":
        return subquery(table.definition or "")
    # The children of an inheritance parent are tables of their own and copied as such.
    only = "only " if table.kind == "table" and not table.partition_key else ""
    return only + dialect.quote_table(table.name)


def _within(dialect: Dialect, table: Table, partition: Partition) -> list[str]:
    if partition.by == "ctid":
        return [
            f"ctid {sign} '({bound},0)'::tid"
            for sign, bound in ((">=", partition.lower), ("<", partition.upper))
            if bound is not None
        ]
    if partition.by != "key" or partition.column is None:
        return []
    name = dialect.quote(partition.column)
    # A partitioned table's key may be none of the columns that are copied; a literal takes its type anyhow.
    nullable = all(column.nullable for column in table.columns if column.name == partition.column)
    conditions = []
    if partition.lower is not None:
        conditions.append(f"{name} >= {_literal(partition.lower)}")
    if partition.upper is not None:
        less = f"{name} < {_literal(partition.upper)}"
        first = partition.lower is None and nullable
        conditions.append(f"({less} or {name} is null)" if first else less)
    return conditions


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
