"""The widest row of a table, where a wide one can be: what TOAST holds is measured without being read."""

from __future__ import annotations

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Column, Table, Widths
from arrowsync.core.units import MiB
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.partitions import relation
from arrowsync.dialects.postgresql.typename import TypeName

MATTERS = 1 * MiB  # narrower rows need no care: a batch may hold more than one
DENSEST = 256  # pglz and lz4 make at most so many bytes of one: a row outside TOAST has less than 2 MiB

# The length is in the pointer to TOAST. Compressed values of other types count as they are stored: a pipe
# finds out what they are.
_MEASURED = {"text": "octet_length", "character varying": "octet_length", "bpchar": "octet_length"}
_MEASURED |= {"bytea": "octet_length"}
_NARROW = {"smallint", "integer", "bigint", "real", "double precision", "boolean", "uuid", "date", "oid"}

_TOAST = """
select coalesce(sum(pg_relation_size(reltoastrelid)), 0)::int8 from pg_class
where reltoastrelid <> 0
  and (oid = to_regclass($1) or oid in (select relid from pg_partition_tree(to_regclass($1))))
"""


def measure(connection: Connection, dialect: Dialect, table: Table, where: str | None) -> Widths | None:
    """The widest row and its key; None for tables without one worth finding, for views and queries."""
    columns = [column for column in table.columns if _type(column) not in _NARROW]
    if table.kind != "table" or not columns:
        return None
    if connection.rows(_TOAST, [dialect.quote_table(table.name)])[0][0] * DENSEST < MATTERS:
        return None
    widths = [
        f"coalesce({_MEASURED.get(_type(column), 'pg_column_size')}({dialect.quote(column.name)})::int8, 0)"
        for column in columns
    ]
    condition = f" where ({where}\n)" if where else ""
    found = connection.rows(
        f"select {_name(dialect, table)}, {' + '.join(widths)} as arrowsync_width "
        f"from {relation(dialect, table)}{condition} order by arrowsync_width desc limit 1"
    )
    return Widths(((int(found[0][1]), table.rows or 1),), str(found[0][0])) if found else None


def _type(column: Column) -> str:
    return TypeName.parse(column.base or column.type).cast  # of arrays with their brackets


def _name(dialect: Dialect, table: Table) -> str:
    """What people call a row: its key, else its place."""
    if table.primary_key is None:
        return "'ctid ' || ctid::text"
    parts = [
        f"'{name.replace(chr(39), chr(39) * 2)} = ' || left({dialect.quote(name)}::text, 100)"
        for name in table.primary_key.columns
    ]
    return f"concat_ws(', ', {', '.join(parts)})"
