"""The server's advisory locks: those that runs keep each other out with, and whether somebody has one."""

from __future__ import annotations

import hashlib

from arrowsync.core.contracts import Connection
from arrowsync.errors import LockHeld

_HOLDERS = """
select 1 from pg_locks l join pg_database d on d.oid = l.database
where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and d.datname = current_database()
  and l.classid::int8 = $1 and l.objid::int8 = $2
"""


def lock(connection: Connection, key: str, seconds: float) -> bool:
    """An advisory lock of the session: the server releases it when the connection is gone."""
    number = _lock_number(key)
    if connection.rows("select pg_try_advisory_lock($1)", [number])[0][0]:
        return True
    if not seconds:
        return False
    connection.run(f"set lock_timeout = {round(seconds * 1000)}")
    try:
        connection.rows("select pg_advisory_lock($1)::text", [number])
    except LockHeld:
        return False
    return True


def unlock(connection: Connection, key: str) -> None:
    connection.rows("select pg_advisory_unlock($1)", [_lock_number(key)])


def is_locked(connection: Connection, key: str) -> bool:
    return is_held(connection, _lock_number(key) % 2**64)


def is_held(connection: Connection, number: int) -> bool:
    """Whether a session of this database has the advisory lock of that number, which is not negative."""
    return bool(connection.rows(_HOLDERS, list(divmod(number, 2**32))))


def _lock_number(key: str) -> int:
    digest = hashlib.sha256(f"arrowsync {key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
