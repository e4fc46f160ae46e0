"""Inspection: what pg_catalog says about tables and types, one set of queries for any number of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa

from arrowsync.core.contracts import Connection
from arrowsync.core.table import (
    Check,
    Column,
    ForeignKey,
    Index,
    Key,
    NativeType,
    Serial,
    Table,
    TableName,
    View,
    quoted,
)
from arrowsync.dialects.postgresql import constraint_options
from arrowsync.dialects.postgresql.dependents import dependents
from arrowsync.dialects.postgresql.read_types import TypeFacts
from arrowsync.dialects.postgresql.sequences import serials
from arrowsync.dialects.postgresql.type_catalog import facts_of, large_objects, needed, user_types
from arrowsync.errors import ConfigError

Row = tuple[Any, ...]  # SQL values: the queries below say which

# A heap up to this is counted: a millisecond or two, and an empty table is known to be.
COUNTED_BYTES = 1 << 20

_NAMES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind::text = any($1::text[]) and not c.relispartition and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'arrowsync')
  and n.nspname not like 'pg\\_temp\\_%' and c.relname not like 'arrowsync\\_%'
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname, c.relname
"""

# Rows of a large heap never analyzed are estimated as the planner does: from pages and column widths.
_TABLES = """
select c.oid::int8, n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class') as comment,
  case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition,
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
  size.bytes::int8, size.heap::int8, size.rows::int8,
  has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') and not c.relrowsecurity
    and c.relispopulated and not (c.relpersistence = 'u' and pg_is_in_recovery()) as countable
from unnest($1::text[], $2::text[]) as wanted(schema, name)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
cross join lateral (
  select sum(pg_table_size(part.oid)) as bytes, sum(pg_relation_size(part.oid)) as heap,
    sum(case
      when part.reltuples > 0 and part.relpages > 0
        then part.reltuples / part.relpages * (pg_relation_size(part.oid) / 8192)
      when part.relkind in ('r', 'm') then pg_relation_size(part.oid) / 8192 * 8168 / (28 +
        (select sum(case when attlen > 0 then attlen else 32 end) from pg_attribute
         where attrelid = part.oid and attnum > 0 and not attisdropped))
      when part.relkind = 'f' and part.reltuples >= 0 then part.reltuples end) as rows
  from pg_class part
  where part.oid = c.oid
    or (c.relkind = 'p' and part.oid in (select relid from pg_partition_tree(c.oid) where isleaf))
) as size
"""

_COLUMNS = """
select a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull,
  pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
  case when a.attcollation <> t.typcollation then
    (select quote_ident(n.nspname) || '.' || quote_ident(co.collname)
     from pg_collation co join pg_namespace n on n.oid = co.collnamespace where co.oid = a.attcollation) end,
  col_description(a.attrelid, a.attnum),
  (select quote_ident(n.nspname) || '.' || quote_ident(co.collname)
   from pg_collation co join pg_namespace n on n.oid = co.collnamespace
   where co.oid = a.attcollation and not co.collisdeterministic)
from pg_attribute a join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any($1::int8[]::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""

# conkey and confkey pair the columns of a foreign key by position.
_CONSTRAINTS = """
select c.conrelid::int8, c.contype::text, c.conname, columns.names, pg_get_constraintdef(c.oid),
  obj_description(c.oid, 'pg_constraint'), pg_get_expr(c.conbin, c.conrelid),
  n.nspname, target.relname, referenced.names, c.confdeltype::text, c.confupdtype::text,
  case when c.condeferrable then case when c.condeferred then 'deferred' else 'immediate' end end
from pg_constraint c
left join pg_class target on target.oid = c.confrelid
left join pg_namespace n on n.oid = target.relnamespace
cross join lateral (
  select coalesce(array_agg(a.attname::text order by k.place), '{}') as names
  from unnest(c.conkey) with ordinality as k(number, place)
  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number
) as columns
cross join lateral (
  select coalesce(array_agg(a.attname::text order by k.place), '{}') as names
  from unnest(c.confkey) with ordinality as k(number, place)
  join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number
) as referenced
where c.conrelid = any($1::int8[]::oid[]) and c.contype in ('p', 'u', 'c', 'f', 'x') and c.conparentid = 0
order by c.conrelid, c.conname
"""

_INDEXES = """
select i.indrelid::int8, c.relname, i.indisunique, pg_get_indexdef(i.indexrelid),
  pg_get_expr(i.indpred, i.indrelid), obj_description(i.indexrelid, 'pg_class'),
  columns.names, columns.descending, columns.plain and am.amname = 'btree', columns.collations
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam
cross join lateral (
  select array_agg(coalesce(a.attname::text, '') order by k.place) as names,
    array_agg((i.indoption::int2[])[k.place - 1] & 1 = 1 order by k.place) as descending,
    bool_and(a.attname is not null) as plain,
    array_agg(quote_ident(n.nspname) || '.' || quote_ident(co.collname)) as collations
  from generate_series(1, i.indnkeyatts) as k(place)
  left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = (i.indkey::int2[])[k.place - 1]
  left join pg_collation co
    on co.oid = (i.indcollation::oid[])[k.place - 1] and not co.collisdeterministic
  left join pg_namespace n on n.oid = co.collnamespace
) as columns
where i.indrelid = any($1::int8[]::oid[]) and i.indislive
  and not exists (
    select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
order by i.indrelid, c.relname
"""

# pg_get_viewdef knows neither the view's options nor the names its columns were given later.
_VIEWS = """
select c.oid::int8, 'create ' || case c.relkind when 'm' then 'materialized ' else '' end || 'view '
    || c.oid::regclass || ' (' || (
      select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped) || ')'
    || coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')
    || ' as ' || rtrim(pg_get_viewdef(c.oid), ';'),
  used.schemas, used.names, c.relkind = 'm', c.relispopulated
from pg_class c cross join lateral (
  select coalesce(array_agg(n.nspname::text order by o.oid), '{}') as schemas,
    coalesce(array_agg(o.relname::text order by o.oid), '{}') as names
  from pg_class o join pg_namespace n on n.oid = o.relnamespace
  where o.oid <> c.oid and o.oid in (
    select d.refobjid from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass
      and d.objid = r.oid and d.refclassid = 'pg_class'::regclass where r.ev_class = c.oid)
) as used
where c.oid = any($1::int8[]::oid[]) and c.relkind in ('v', 'm')
"""


@contextmanager
def qualified(connection: Connection) -> Iterator[None]:
    """While it lasts the catalogue's functions write every name with its schema, as pg_dump has them do."""
    path = connection.rows("select current_setting('search_path')")[0][0]
    connection.run("set search_path = ''")
    yield
    connection.rows("select set_config('search_path', $1, false)", [path])


def names(connection: Connection, *, views: bool) -> list[TableName]:
    kinds = ["r", "p", "v", "m", "f"] if views else ["r", "p"]
    return [TableName(name, schema) for schema, name in connection.rows(_NAMES, [kinds])]


def describe(connection: Connection, wanted: Sequence[TableName]) -> list[Table]:
    """The tables and views of those names, in their order."""
    if not wanted:
        return []
    default = connection.rows("select current_schema()")[0][0]
    exact = [TableName(name.name, name.schema or default) for name in wanted]
    with qualified(connection):
        found = connection.rows(_TABLES, [[name.schema for name in exact], [name.name for name in exact]])
        tables = _tables(connection, found) if found else {}
    return [tables[name] for name in exact if name in tables]


def _tables(connection: Connection, found: list[Row]) -> dict[TableName, Table]:
    """Every table found, made of its rows of the queries about columns, constraints, indexes, …"""
    oids = [row[0] for row in found]
    columns, constraints, indexes = (
        _grouped(connection.rows(query, [oids])) for query in (_COLUMNS, _CONSTRAINTS, _INDEXES)
    )
    numbered = serials(connection, oids)
    used = {column[1] for group in columns.values() for column in group}
    facts = facts_of(connection, used)
    types = user_types(connection, used, facts)
    named = large_objects(connection, facts, types)
    counted = _count(connection, found)
    views = {row[0]: _view(row) for row in connection.rows(_VIEWS, [oids])}
    attachments = dependents(connection, oids)
    made = {}
    for oid, *row in found:
        its_columns = tuple(
            replace(_column(column, facts, numbered.get(oid, {})), remark=named.get(column[1]))
            for column in columns[oid]
        )
        loose = {column[0]: f"collate {column[-1]}" for column in columns[oid] if column[-1]}
        table = _table(row, its_columns, loose, constraints[oid], indexes[oid])
        its_types = needed(its_columns, types)
        rows, exact = (counted[oid], True) if oid in counted else (table.rows, False)
        table = replace(table, types=its_types, rows=rows, rows_exact=exact, view=views.get(oid))
        made[table.name] = replace(table, dependents=attachments[oid])
    return made


def describe_query(connection: Connection, name: TableName, query: str) -> Table:
    """The columns of a SELECT as the server would deliver them. Raises ConfigError for two of one name."""
    body = subquery(query)
    schema = connection.schema(f"select * from {body}")
    if twice := sorted({column for column in schema.names if schema.names.count(column) > 1}):
        raise ConfigError(f"the query has two columns {twice[0]!r}", hint="Give each its own name with AS")
    marks = [_driver_type(field) for field in schema]
    estimate = json.loads(connection.rows(f"explain (format json) select * from {body}")[0][0])
    with qualified(connection):
        found = connection.rows(_DRIVER_TYPES, [[mark[0] for mark in marks], [mark[1] for mark in marks]])
        types = [str(row[0]) for row in found]
        its_types = user_types(connection, set(types), {})
    columns = tuple(
        Column(column, type, NativeType("postgresql", type))
        for column, type in zip(schema.names, types, strict=True)
    )
    rows = int(estimate[0]["Plan"]["Plan Rows"])
    return Table(
        name, "postgresql", columns, "query", rows=rows, definition=query, types=needed(columns, its_types)
    )


def unchecked(connection: Connection, name: TableName) -> list[str]:
    """A sentence for each foreign key from or to the table that rows there may break."""
    found = connection.rows(_UNCHECKED, [name.schema or "", name.name])
    return [
        f"foreign key {key!r} of {child} holds for new rows only: rows there may break it"
        for key, child in found
    ]


_UNCHECKED = """
select k.conname, k.conrelid::regclass::text from pg_constraint k
join pg_class c on c.oid in (k.conrelid, k.confrelid) join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and not k.convalidated and n.nspname = $1 and c.relname = $2
group by 1, 2 order by 1, 2
"""


def subquery(query: str) -> str:
    """A SELECT in parentheses; the line break ends a comment behind it."""
    return f"({query.strip().rstrip(';')}\n) as query"


# What the driver calls a type: its name in pg_catalog, or its number where it knows none.
_DRIVER_TYPES = """
select format_type(coalesce(substring(t.name from '^unnamed<oid:([0-9]+)>$')::oid, p.oid), t.typmod)
from unnest($1::text[], $2::int8[]::int4[]) with ordinality as t(name, typmod, place)
left join pg_type p on p.typnamespace = 'pg_catalog'::regnamespace and p.typname = t.name
order by t.place
"""


def _driver_type(field: pa.Field) -> tuple[str, int]:
    marks = field.metadata or {}
    return marks[b"POSTGRESQL:type"].decode(), int(marks.get(b"POSTGRESQL:typmod", b"-1"))


def _grouped(rows: list[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for table, *row in rows:
        groups[table].append(tuple(row))
    return groups


def _count(connection: Connection, found: list[Row]) -> dict[int, int]:
    """Exact row counts of the tables that are small, all in one query."""
    small = [
        (oid, schema, name, kind)
        for oid, schema, name, kind, _, _, _, _, heap, _, countable in found
        if kind in "rpm" and countable and heap is not None and heap <= COUNTED_BYTES
    ]
    if not small:
        return {}
    return dict(connection.rows(" union all ".join(_counting(*table) for table in small)))


def _counting(oid: int, schema: str, name: str, kind: str) -> str:
    only = "only " if kind == "r" else ""
    return f"select {oid}::int8, count(*) from {only}{quoted(schema)}.{quoted(name)}"


def _table(
    row: Sequence[Any],
    columns: tuple[Column, ...],
    loose: Mapping[str, str],
    constraints: list[Row],
    indexes: list[Row],
) -> Table:
    schema, name, kind, comment, definition, partition_key, size, _, rows, _ = row
    types = {column.name: text for column in columns if (text := constraint_options.comparison(column))}
    keys = {
        letter: [_key(key, {**types, **loose}) for key in constraints if key[0] == letter] for letter in "pu"
    }
    return Table(
        TableName(name, schema),
        "postgresql",
        columns,
        kind="view" if kind in "vm" else "table",
        primary_key=next(iter(keys["p"]), None),
        unique=tuple(keys["u"]),
        checks=tuple(_check(check) for check in constraints if check[0] in "cx"),
        foreign_keys=tuple(_foreign_key(key) for key in constraints if key[0] == "f"),
        indexes=tuple(_index(index, types) for index in indexes),
        comment=comment,
        rows=rows,
        bytes=size,
        definition=definition,
        partition_key=partition_key,
    )


def _view(row: Row) -> View:
    _, statement, schemas, names, materialized, populated = row
    reads = tuple(TableName(name, schema) for schema, name in zip(schemas, names, strict=True))
    return View(statement, reads, materialized, populated)


_IDENTITY: dict[str, Literal["always", "by default"]] = {"a": "always", "d": "by default"}


def _column(row: Row, facts: dict[str, TypeFacts], serials: Mapping[str, Serial]) -> Column:
    name, type, nullable, expression, identity, generated, collation, comment, _ = row
    return Column(
        name,
        type,
        NativeType("postgresql", type),
        nullable=nullable,
        default=None if generated else expression,
        identity=_IDENTITY.get(identity),
        generated=expression if generated else None,
        collation=collation,
        comment=comment,
        base=str(facts[type].base) if facts[type].domain else None,
        virtual=generated == "v",
        serial=serials.get(name),
    )


def _key(row: Row, equalizing: Mapping[str, str]) -> Key:
    _, name, columns, definition, comment = row[:5]
    found = constraint_options.of_key(
        definition, [equalizing[column] for column in columns if column in equalizing]
    )
    return Key(name, tuple(columns), definition, comment, found)


def _check(row: Row) -> Check:
    """A check, or an exclusion constraint: its definition is all there is."""
    _, name, columns, definition, comment, expression = row[:6]
    return Check(name, expression or definition, tuple(columns), definition, comment)


_ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}


def _foreign_key(row: Row) -> ForeignKey:
    _, name, columns, definition, comment, _, schema, table, referenced, on_delete, on_update, deferrable = (
        row
    )
    return ForeignKey(
        name,
        tuple(columns),
        TableName(table, schema),
        tuple(referenced),
        _ACTIONS[on_delete],
        _ACTIONS[on_update],
        deferrable,
        definition,
        comment,
        constraint_options.of_foreign_key(definition),
    )


def _index(row: Row, types: Mapping[str, str]) -> Index:
    name, unique, definition, where, comment, columns, descending, plain, collations = row
    if not plain:
        return Index(name, (), unique, (), where, definition, comment)
    loose = [f"collate {collation}" for collation in collations if collation]
    equalizing = [*loose, *(types[column] for column in columns if column in types)]
    found = constraint_options.of_index(definition, equalizing if unique else [])
    return Index(name, tuple(columns), unique, tuple(descending), where, definition, comment, found)
