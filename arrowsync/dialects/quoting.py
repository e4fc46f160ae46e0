"""Proves by a query how a database quotes names: MySQL takes "id" for a text, and answers with that text."""

from __future__ import annotations

from arrowsync.core.contracts import Connection
from arrowsync.errors import ArrowsyncError, ConfigError, TransientError

_MARKS = ('"', "`")


def check(connection: Connection, mark: str) -> None:
    """Raises ConfigError where `mark` does not quote names, with the one that does."""
    if _quotes(connection, mark):
        return
    other = next((each for each in _MARKS if each != mark and _quotes(connection, each)), None)
    raise ConfigError(
        f"the database does not take {mark} around names",
        hint=f"Give dialect=Dialect(capabilities=Capabilities(quote={other!r}))"
        if other
        else "Give the dialect's capabilities its quote",
    )


def _quotes(connection: Connection, mark: str) -> bool:
    name = f"{mark}arrowsync A.{mark}{mark}b{mark}"
    query = f"select {name} from (select 1 as {name}) as {mark}arrowsync Q{mark}"
    try:
        rows = connection.rows(query)
    except TransientError:
        raise
    except ArrowsyncError:
        return False
    return [str(value) for (value,) in rows] == ["1"]
