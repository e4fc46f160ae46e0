"""What hangs on a table and is no part of its shape: triggers, rules, policies. No copy takes them along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Attached

_ATTACHED = """
select attached.oid::int8, attached.kind, attached.name from (
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
) as attached(oid, place, kind, name)
where attached.oid = any($1::int8[]::oid[]) order by attached.oid, attached.place, attached.name
"""
INHERITANCE = "inheritance from"


def attached(connection: Connection, oids: Sequence[int]) -> Mapping[int, tuple[Attached, ...]]:
    found: dict[int, tuple[Attached, ...]] = defaultdict(tuple)
    for oid, kind, name in connection.rows(_ATTACHED, [list(oids)]):
        found[oid] += (Attached(kind, name),)
    return found
