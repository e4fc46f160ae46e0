"""Triggers, rules and policies of a table. No copy takes them along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Dependent

_ATTACHED = """
select dependents.oid::int8, dependents.kind, dependents.name from (
  select tgrelid, 1, 'trigger', tgname::text from pg_trigger where not tgisinternal
  union all
  select ev_class, 2, 'rule', rulename::text from pg_rewrite where rulename <> '_RETURN'
  union all
  select polrelid, 3, 'policy', polname::text from pg_policy
  union all
  select oid, 4, 'row security', null from pg_class where relrowsecurity
  union all
  select i.inhrelid, 5, 'inheritance from', i.inhparent::regclass::text
  from pg_inherits i join pg_class c on c.oid = i.inhrelid and not c.relispartition
) as dependents(oid, place, kind, name)
where dependents.oid = any($1::int8[]::oid[]) order by dependents.oid, dependents.place, dependents.name
"""
INHERITANCE = "inheritance from"


def dependents(connection: Connection, oids: Sequence[int]) -> Mapping[int, tuple[Dependent, ...]]:
    found: dict[int, tuple[Dependent, ...]] = defaultdict(tuple)
    for oid, kind, name in connection.rows(_ATTACHED, [list(oids)]):
        found[oid] += (Dependent(kind, name),)
    return found
