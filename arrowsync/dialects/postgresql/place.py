"""Whether two connections have led to one PostgreSQL database: hosts, sockets and poolers have many names."""

from __future__ import annotations

import secrets

from arrowsync.core.contracts import Connection
from arrowsync.dialects.postgresql.advisory_locks import is_held

# A clone made from a backup has its origin's identifier, too: of two servers that write, only a lock tells.
_SERVER = """
select pg_is_in_recovery(), (select system_identifier::text from pg_control_system()), oid::int8
from pg_database where datname = current_database()
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
        return is_held(there, key)
    finally:
        here.run("rollback")
