"""What pg_type tells of types: what they are and how users' own are made again. Tables are catalog.py's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Column, Table, TypePart, UserType
from arrowsync.dialects.postgresql.read_types import TypeFacts
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.errors import SchemaError

# A type and all those inside it: under a domain, in an array, a composite, a range.
_INSIDE = """
with recursive wanted as (
  select w.name, w.name::regtype::oid as oid from unnest($1::text[]) as w(name)
), inside(name, oid) as (
  select name, oid from wanted
  union
  select i.name, part.oid from inside i join pg_type t on t.oid = i.oid cross join lateral (
    select t.typbasetype where t.typtype = 'd'
    union all select t.typelem where t.typcategory = 'A'
    union all select a.atttypid from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    union all select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
    union all select r.rngtypid from pg_range r where t.oid = r.rngmultitypid
  ) as part(oid)
)
"""

# Binary send formats are used only where every type inside has both directions and none is one of those whose
# bytes do not survive: tsquery and the vectors refuse their own empty value, xml loses its declaration, reg*
# are numbers of the other database, and before 17 an infinite interval, which only a column of its own is
# checked for, would be 178956970 years.
_FACTS = (
    _INSIDE
    + """
, chain(name, oid, typmod, depth) as (
  select name, oid, -1, 0 from wanted
  union all
  select c.name, t.typbasetype, t.typtypmod, c.depth + 1
  from chain c join pg_type t on t.oid = c.oid where t.typtype = 'd'
), base as (
  select distinct on (name) name, oid, typmod, depth > 0 as domain from chain order by name, depth desc
)
select b.name, b.domain, format_type(b.oid, b.typmod),
  case when wire.good then quote_ident(n.nspname) || '.' || quote_ident(f.proname) || '({c}' ||
    case when b.domain then '::' || format_type(b.oid, b.typmod)
         when argument.typtype <> 'p' and argument.oid <> b.oid then '::' || format_type(argument.oid, null)
         else '' end || ')' end
from base b join pg_type t on t.oid = b.oid
left join pg_proc f on f.oid = t.typsend
left join pg_namespace n on n.oid = f.pronamespace
left join pg_type argument on argument.oid = f.proargtypes[0]
cross join lateral (
  select bool_and(p.typsend <> 0 and p.typreceive <> 0
    and p.oid <> all ('{tsquery,int2vector,oidvector,xml}'::regtype[]) and p.typname not like 'reg%'
    and (p.oid <> 'interval'::regtype or b.oid = 'interval'::regtype)
    -- The bytes of a composite or an array hold the OIDs of what is inside, and those of users' types (from
    -- 16384 on) are others in another database: such bytes would arrive, but never compare equal.
    and (p.typcategory <> 'A' or p.typelem < 16384) and not exists (
      select 1 from pg_attribute a
      where a.attrelid = p.typrelid and a.attnum > 0 and not a.attisdropped and a.atttypid >= 16384)) as good
  from inside i join pg_type p on p.oid = i.oid where i.name = b.name
) as wire
"""
)

# What is directly inside a type: attributes, and what lies under a domain, range or multirange.
_PARTS = """coalesce((
    select json_agg(json_build_array(part.name, format_type(part.type, part.modifier),
      format_type(part.type, null), (
        select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
        from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
        join pg_type b on b.oid = part.type
        where co.oid = part.collated and co.oid <> b.typcollation)) order by part.place)::text
    from (
      select a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod, a.attcollation from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      union all select 1, '', t.typbasetype, t.typtypmod, t.typcollation where t.typtype = 'd'
      union all select 1, '', r.rngsubtype, -1, r.rngcollation from pg_range r where r.rngtypid = t.oid
      union all select 1, '', r.rngtypid, -1, 0 from pg_range r where r.rngmultitypid = t.oid
    ) as part(place, name, type, modifier, collated)), '[]')"""

# The types that somebody made, in the order of their making, with what makes them again and what they are.
_TYPES = (
    _INSIDE
    + """
select i.name, format_type(t.oid, null), t.typtype::text, quote_ident(e.extname),
  obj_description(t.oid, 'pg_type'),
  case t.typtype
    when 'e' then 'as enum (' || (
      select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum
      where enumtypid = t.oid) || ')'
    when 'd' then 'as ' || format_type(t.typbasetype, t.typtypmod)
      || coalesce(' collate ' || (
        select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
        from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
        join pg_type b on b.oid = t.typbasetype
        where co.oid = t.typcollation and co.oid <> b.typcollation), '')
      || coalesce(' default ' || t.typdefault, '') || case when t.typnotnull then ' not null' else '' end
      || coalesce((
        select string_agg(
          ' constraint ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid), '' order by oid)
        from pg_constraint where contypid = t.oid and contype = 'c'), '')
    when 'c' then 'as (' || (
      select string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
      from pg_attribute join pg_class c on c.oid = attrelid and c.relkind = 'c'
      where attrelid = t.typrelid and attnum > 0 and not attisdropped) || ')'
    when 'r' then (
      select 'as range (subtype = ' || format_type(r.rngsubtype, null)
        || coalesce(', subtype_diff = ' || nullif(r.rngsubdiff, 0)::oid::regproc, '')
        || ', multirange_type_name = ' || format_type(r.rngmultitypid, null) || ')'
      from pg_range r where r.rngtypid = t.oid and r.rngcanonical = 0)
  end,
  (select coalesce(array_agg(enumlabel::text order by enumsortorder), '{}') from pg_enum
   where enumtypid = t.oid),
  """
    + _PARTS
    + """,
  coalesce(case t.typtype
    when 'b' then coalesce(quote_ident(e.extname), t.typinput::text || ' ' || t.typlen)
    when 'r' then (
      select quote_ident(cn.nspname) || '.' || quote_ident(c.opcname) || ' ' || r.rngcanonical::text
      from pg_range r join pg_opclass c on c.oid = r.rngsubopc join pg_namespace cn on cn.oid = c.opcnamespace
      where r.rngtypid = t.oid) end, '')
from inside i join pg_type t on t.oid = i.oid join pg_namespace n on n.oid = t.typnamespace
left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
left join pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
where n.nspname <> 'pg_catalog' and t.typcategory <> 'A'
order by e.extname is null, t.oid
"""
)


_MISSING = "select name from unnest($1::text[]) as names(name) where to_regtype(name) is null"
_THERE = "select name from unnest($1::text[]) as names(name) where to_regtype(name) is not null"


def facts_of(connection: Connection, types: set[str]) -> dict[str, TypeFacts]:
    """What the catalogue says about the types of those names, each by its format_type text."""
    if not types:
        return {}
    return {
        name: TypeFacts(
            TypeName.parse(name), TypeName.parse(base) if domain else TypeName.parse(name), domain, wire
        )
        for name, domain, base, wire in connection.rows(_FACTS, [sorted(types)])
    }


_KINDS: dict[str, Literal["enum", "domain", "composite", "range", "multirange", "base"]] = {
    "e": "enum",
    "d": "domain",
    "c": "composite",
    "r": "range",
    "m": "multirange",
    "b": "base",
}


def user_types(
    connection: Connection, names: set[str], facts: dict[str, TypeFacts]
) -> list[tuple[str, UserType]]:
    """Each type of those names with each type inside it that somebody made, in the order of their making."""
    rows = connection.rows(_TYPES, [sorted(names)]) if names else []
    return [(row[0], _user_type(row, facts)) for row in rows]


def large_objects(
    connection: Connection, facts: dict[str, TypeFacts], types: list[tuple[str, UserType]]
) -> dict[str, str]:
    """What is to be said of columns whose numbers may be those of large objects, by their type.

    Type lo is made for that; an oid may be anything's number, but where there are none.
    """
    made_for_it = {name for name, type in types if type.name.rpartition(".")[2] == "lo"}
    numbers = {name for name, fact in facts.items() if fact.base.bare == "oid"} - made_for_it
    if numbers and connection.rows(_ARE_LARGE_OBJECTS)[0][0]:
        return dict.fromkeys(numbers, _MAY_NAME) | dict.fromkeys(made_for_it, _NAMES)
    return dict.fromkeys(made_for_it, _NAMES)


_ARE_LARGE_OBJECTS = "select exists (select from pg_largeobject_metadata)"
_NAMES = "holds the numbers of large objects, which stay behind"
_MAY_NAME = "may hold the numbers of large objects, which stay behind"


def names_of(source: Table) -> set[str]:
    """The types that people made of the source's columns, and what is inside them where it is known."""
    origins = (column.origin for column in source.columns)
    bare = (TypeName.parse(origin.name) for origin in origins if origin.dialect == "postgresql")
    return {name.bare for name in bare if not name.is_builtin} | {type.name for type in source.types}


def types_there(connection: Connection, names: set[str]) -> tuple[UserType, ...]:
    """The types of those names that the database has, by what they are there."""
    known = {str(name) for (name,) in connection.rows(_THERE, [sorted(names)])}
    found = user_types(connection, known, facts_of(connection, known))
    return tuple(dict.fromkeys(type for _, type in found))


def needed(columns: Sequence[Column], types: list[tuple[str, UserType]]) -> tuple[UserType, ...]:
    names = {column.type for column in columns}
    return tuple(dict.fromkeys(type for name, type in types if name in names))


def _user_type(row: tuple[Any, ...], facts: dict[str, TypeFacts]) -> UserType:  # Any: SQL values
    _, name, letter, extension, comment, body, labels, parts, functions = row
    base = str(facts[name].base) if name in facts and facts[name].domain else None
    make = "domain" if letter == "d" else "type"
    definition = f"create {make} {name} {body}" if body and not extension else None
    if extension:
        definition = f"create extension if not exists {extension}"
    made_of = tuple(TypePart(*part) for part in json.loads(parts))
    return UserType(
        name, _KINDS[letter], base, definition, extension, comment, tuple(labels), made_of, functions
    )


def check_types(connection: Connection, plan: TablePlan) -> None:
    """Raises SchemaError for a type of a new table that the target lacks and the plan does not make."""
    if not plan.write.makes_table:
        return
    # From another PostgreSQL types come along, but for those that a cast has named.
    named = plan.transfer.cast if plan.source.dialect == plan.target.dialect else None
    needed = [
        (column.source.name, TypeName.parse(column.target.type).bare)
        for column in plan.columns
        if named is None or column.source.name in named
    ]
    made = {type.name for type in plan.target.types}
    names = sorted({bare for _, bare in needed} - made)
    missing = {str(name) for (name,) in connection.rows(_MISSING, [names])} if names else set()
    for column, bare in needed:
        if bare in missing:
            raise SchemaError(
                f"the target has no type {bare}",
                column=column,
                hint=f"Create it there, or choose another, e.g. cast={{{column!r}: 'text'}}",
            )
