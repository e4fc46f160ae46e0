"""Refuses a pooler that lends a session for a transaction: what a copy sets in it would reach others' work.

PgBouncer calls it pool_mode = transaction, or statement. Nothing here sets anything in a session.
"""

from __future__ import annotations

from typing import NamedTuple

from arrowsync.core.contracts import BareConnection, Connection
from arrowsync.errors import ArrowsyncError, ConfigError, Unanswered

_SESSION = (
    "select pg_catalog.pg_backend_pid(), pg_catalog.host(pg_catalog.inet_client_addr()), "
    "pg_catalog.inet_client_port(), pg_catalog.current_setting('port')"
)
_PREPARED_ELSEWHERE = "26000"  # in one session, and looked for in another
_NO_TRANSACTIONS = "not allowed in statement pooling"  # PgBouncer's words for begin


class _Session(NamedTuple):
    """The server's end of a connection, as the server sees it."""

    pid: int
    client_address: str | None
    client_port: int | None
    port: str  # that the server listens on


def check(connection: BareConnection) -> None:
    """Raises ConfigError where the session does not stay with the connection."""
    session = _session(connection)
    if (session.client_address, session.client_port) == connection.own_end:
        return  # the server has our own socket before it: nobody stands between
    try:
        lent = _is_lent(connection, session.pid)
    except ArrowsyncError as error:
        if error.sqlstate != _PREPARED_ELSEWHERE and _NO_TRANSACTIONS not in error.message:
            raise
        lent = True
    if lent:
        raise ConfigError(
            "this is a pooler in transaction mode (PgBouncer's pool_mode = transaction): the settings, locks "
            "and snapshots of a copy would get into other applications' sessions",
            hint=f"Give the database's own port ({session.port}), or a pool with pool_mode = session",
        )


def _is_lent(connection: BareConnection, pid: int) -> bool:
    """Whether another connection gets the session as soon as this one is between two transactions."""
    if _session(connection).pid != pid:  # some poolers take one server connection after the other
        return True
    try:
        with connection.another_bare() as other:
            other.run("begin")  # from here on the other one keeps its session
            taken = _session(other).pid == pid or _session(connection).pid != pid
            other.run("rollback")
            return taken
    except Unanswered:  # it waits for a session although this one is idle: they are not lent
        return _session(connection).pid != pid


def _session(connection: Connection) -> _Session:
    [row] = connection.rows(_SESSION)
    return _Session(*row)
