"""Whether two connections have led to one PostgreSQL database: hosts, sockets and poolers have many names."""

from __future__ import annotations

import secrets

from arrowsync.core.contracts import Connection

# A clone made from a backup has its origin's identifier, too: of two servers that write, only a lock tells.
_SERVER = """
select pg_is_in_recovery(), (select system_identifier::text from pg_control_system()), oid::int8
from pg_database where datname = current_database()
"""
_HOLDS = """
select count(*) from pg_locks
where locktype = 'advisory' and objsubid = 1 and granted
  and database = (select oid from pg_database where datname = current_database())
  and classid::int8 = $1 and objid::int8 = $2
"""


def is_same(here: Connection, there: Connection) -> bool:
    """Whether a lock that is taken here is seen there, or `there` is a standby that follows this database."""
    [(_, *server)] = here.rows(_SERVER)
    [(follows, *other)] = there.rows(_SERVER)
    return server == other and (follows or _sees_lock(here, there))


def _sees_lock(here: Connection, there: Connection) -> bool:
    key = secrets.randbits(63)
    here.run("begin")
    try:
        here.rows("select pg_advisory_xact_lock($1)::text", [key])
        return bool(there.rows(_HOLDS, list(divmod(key, 2**32)))[0][0])
    finally:
        here.run("rollback")
