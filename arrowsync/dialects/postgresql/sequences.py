"""The sequences that number a table's columns, with the value that each gives next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Serial, TableName, quoted
from arrowsync.dialects.postgresql.plpgsql import quote_text

# Every sequence that a table's columns own or whose nextval is a column's default. One that was never asked
# has no last value for pg_sequence_last_value, wherever it was told to begin.
_SERIALS = """
select used.relation::int8, a.attname, n.nspname, c.relname, format_type(s.seqtypid, null), s.seqstart,
  s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
  last.value + s.seqincrement, bool_or(used.owned),
  last.value is null and has_sequence_privilege(c.oid, 'select')
    and (c.relpersistence <> 'u' or not pg_is_in_recovery())
from (
  select refobjid as relation, refobjsubid as number, objid as oid, true as owned from pg_depend
  where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
    and refobjsubid > 0 and refobjid = any($1::int8[]::oid[])
  union all
  select ad.adrelid, ad.adnum, d.refobjid, false from pg_attrdef ad
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = ad.oid
    and d.refclassid = 'pg_class'::regclass
  where ad.adrelid = any($1::int8[]::oid[])
) as used
join pg_class c on c.oid = used.oid and c.relkind = 'S' join pg_namespace n on n.oid = c.relnamespace
join pg_sequence s on s.seqrelid = c.oid
join pg_attribute a on a.attrelid = used.relation and a.attnum = used.number
cross join lateral (
  select case when has_sequence_privilege(c.oid, 'usage, select') then pg_sequence_last_value(c.oid) end
) as last(value)
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14
order by 1, 2, bool_or(used.owned)
"""


def serials(connection: Connection, oids: Sequence[int]) -> Mapping[int, Mapping[str, Serial]]:
    """Of each table by its number, the sequence of each column by its name."""
    found = connection.rows(_SERIALS, [list(oids)])
    first = _first_values(connection, {TableName(row[3], row[2]) for row in found if row[-1]})
    numbered: dict[int, dict[str, Serial]] = defaultdict(dict)
    for table, column, schema, name, *facts, following, owned, _ in found:
        sequence = TableName(name, schema)
        start: int = facts[1]
        facts += [first.get(sequence, start) if following is None else following, owned]
        numbered[table][column] = Serial(sequence, *facts)
    return numbered


def _first_values(connection: Connection, fresh: set[TableName]) -> dict[TableName, int]:
    """What sequences that were never asked give first: `restart` leaves their declared start as it is."""
    if not fresh:
        return {}
    queries = " union all ".join(map(_first_value, fresh))
    rows: list[tuple[Any, ...]] = connection.rows(queries)  # Any: SQL values
    return {TableName(name, schema): value for schema, name, value in rows}


def _first_value(sequence: TableName) -> str:
    schema, name = sequence.schema or "", sequence.name
    return (
        f"select {quote_text(schema)}, {quote_text(name)}, last_value from {quoted(schema)}.{quoted(name)} "
        "where not is_called"
    )
