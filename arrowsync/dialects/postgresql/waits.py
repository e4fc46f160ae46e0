"""What a session waits for, and who holds it: asked on another connection, while it waits."""

from __future__ import annotations

from arrowsync.core.contracts import Connection
from arrowsync.core.waits import Wait

# Those that wait themselves come last: who holds up all of them does not. A prepared transaction has pid 0.
_WAITS_FOR = """
select coalesce(t.name, case l.locktype when 'relation' then 'a table' when 'advisory' then 'an advisory lock'
    else 'a row' end), b.pid, coalesce(a.state, case b.pid when 0 then 'a prepared transaction'
    else coalesce(a.backend_type, 'another user''s session') end)
from pg_locks l
cross join unnest(pg_blocking_pids($1::int4)) as b(pid)
left join pg_stat_activity a on a.pid = b.pid
left join (select c.oid, format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace) t
  on t.oid = l.relation and l.locktype = 'relation'
where l.pid = $1::int4 and not l.granted
order by exists (select from pg_locks w where w.pid = b.pid and not w.granted), a.xact_start limit 1
"""


def session_id(connection: Connection) -> int:
    return int(connection.rows("select pg_backend_pid()")[0][0])


def waits_for(connection: Connection, session_id: int) -> Wait | None:
    found = connection.rows(_WAITS_FOR, [session_id])
    return Wait(*found[0]) if found else None
