"""What a PostgreSQL driver's error means: by SQLSTATE where there is one, else by libpq's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from arrowsync.errors import (
    ArrowsyncError,
    ConfigError,
    ConnectionRefused,
    DataError,
    LockHeld,
    SchemaError,
    TransientError,
    Unreachable,
)

_Kind = Callable[..., ArrowsyncError]


def _first_line(message: str, **fields: Any) -> SchemaError:  # Any: fields of ArrowsyncError
    return SchemaError(message.partition("\n")[0], **fields)


FULL = (
    "Use fewer (--workers, --max-connections), close others, or raise the connection limit of the server, "
    "database, role or pool"
)
_POOLER_WAITS = "The pooler has no connection to the server: see its log, or give the database's own port"

_RECOVERY = re.compile("(conflict|deadlock) with recovery")  # of a standby, which replays what others removed
STANDBY = (
    "The source is a standby: set hot_standby_feedback = on there, or raise max_standby_streaming_delay, "
    "for as long as the copy takes; or copy from the primary"
)

# The longest prefix of the SQLSTATE decides; the hint says what to do.
_STATES: dict[str, tuple[_Kind, str | None]] = {
    "22": (DataError, None),
    "23": (DataError, None),
    "P0001": (DataError, None),  # a trigger refused the row
    "54000": (DataError, None),
    "54": (SchemaError, None),
    "2BP01": (SchemaError, "Other objects depend on the old table: drop them first, or use mode append"),
    "40001": (TransientError, None),
    "40P01": (TransientError, None),
    "53300": (ConnectionRefused, FULL),
    "55P03": (LockHeld, "Another session holds the lock: see pg_stat_activity"),
    "57014": (TransientError, None),  # cancelled; the engine knows whether it did that itself
    "57P": (TransientError, None),
    # Our own connections fail without an SQLSTATE: this is the server's, to the server of a foreign table.
    "08001": (_first_line, "A foreign table is read from another server, which must be reachable from there"),
    "08": (TransientError, None),
    "53100": (ArrowsyncError, "The server's disk is full: make room, then run the same command again"),
    "53": (ArrowsyncError, None),
    "25006": (
        ConfigError,
        "Where default_transaction_read_only protects it: alter role … reset default_transaction_read_only",
    ),
    "28": (ConfigError, "Check user and password in the URI"),
    "42501": (ConfigError, None),
    "AS": (ConfigError, None),  # our own statements'
    "42": (SchemaError, None),
    "3D": (ConfigError, "Check the database's name in the URI"),
    "3F": (ConfigError, "Create the schema, or name another table with --target-table"),
    "0A": (SchemaError, None),
}

POOLERS = "08P01"  # PgBouncer's, whatever it has to say

_WRITE = "Write postgresql://user:password@host:5432/database"

# Errors of libpq and of the driver's own statements come without an SQLSTATE; the first words found decide.
_WORDS: tuple[tuple[str, _Kind, str | None], ...] = (
    ("password authentication failed", ConfigError, "Check user and password in the URI"),
    ("no password supplied", ConfigError, "Give the password in the URI or in PGPASSWORD"),
    ("no pg_hba.conf entry", ConfigError, "The server's pg_hba.conf does not let this user in from here"),
    ("FATAL: +database .* does not exist", ConfigError, "Check the database's name in the URI"),
    ("FATAL: +role .* does not exist", ConfigError, "Check the user in the URI"),
    ("starting up|shutting down|in recovery mode", TransientError, None),
    # PostgreSQL's words, PgBouncer's, and those of other poolers.
    (r"too many (\w+ )?(clients|connections)|connection slots are reserved", ConnectionRefused, FULL),
    ("no more connections allowed|client connections exceeded|max(imum)? client", ConnectionRefused, FULL),
    ("query_wait_timeout|timed.?out.* to acquire", ConnectionRefused, FULL),
    # What the driver says of its first query when a pooler has ended the connection for one of these reasons.
    (r"for SELECT version\(\); but got", ConnectionRefused, FULL),
    (
        r"server_login_retry|server login has been failing|cannot connect to server",
        TransientError,
        _POOLER_WAITS,
    ),
    ("server down|server conn crashed|pooler is shutting down|server shutting down", TransientError, None),
    ("pooler error|terminated by administrator|admin forced disconnect", TransientError, None),
    ("could not translate host name", ConfigError, "Check the host in the URI"),
    ("Connection refused|No such file", Unreachable, "Is the server running, and are host and port right?"),
    ("no such database", ConfigError, "Check the database's name in the URI, and in the pooler's settings"),
    ("no such user|unsupported startup parameter", ConfigError, "See the pooler's settings"),
    ("timeout expired|No route to host|Network is unreachable", Unreachable, "Can the server be reached?"),
    ("invalid (URI|percent-encoded|integer|connection option|port)", ConfigError, _WRITE),
    ('missing "="|definition of service|service file', ConfigError, _WRITE),
    ("server closed the connection|terminating connection|no connection to the server", TransientError, None),
    ("could not (receive|send) data|Connection (reset|timed out)|Broken pipe", TransientError, None),
    ("SSL SYSCALL|SSL connection|lost synchronization|connection (pointer|not open)", TransientError, None),
    ("COPY Writer from Arrow type|not implemented|does not exist", SchemaError, None),
    ("Input (string|value)|out of range|overflow|Error occurred writing COPY", DataError, None),
)
_LINE = re.compile(r"COPY .*?, line (\d+)(?:, column (.+?)(?=: |$))?", re.MULTILINE)
_QUOTING = re.compile(r"Failed to (?:execute|prepare) query.*?': (?=ERROR|FATAL|PANIC)", re.DOTALL)
_NOISE = re.compile(r"^\w+: |\[libpq\] ?|(?:ERROR|FATAL|PANIC): +|\. SQLSTATE: \w{5}\s*$")


def translate(error: Exception) -> ArrowsyncError:
    """The driver's error as one of ours: one sentence, its place as fields."""
    state: str | None = getattr(error, "sqlstate", None)
    text = str(error)
    if _RECOVERY.search(text):
        return TransientError(_sentence(text), hint=STANDBY, sqlstate=state)
    if state is None:
        kind, hint = _by_words(text)
        return kind(_sentence(text), hint=hint)
    details = _details(error)
    kind, hint = _by_words(text, _STATES["08"]) if state == POOLERS else _by_state(state)
    message = details.get("MESSAGE_PRIMARY") or _sentence(text)
    if detail := details.get("MESSAGE_DETAIL"):
        message = f"{message}: {detail.rstrip('.')}"
    if state == "42501":
        hint = _missing_right(message)
    line = _LINE.search(details.get("CONTEXT") or text)
    return kind(
        message,
        hint=hint or details.get("MESSAGE_HINT"),
        sqlstate=state,
        constraint=details.get("CONSTRAINT_NAME"),
        column=details.get("COLUMN_NAME") or (line[2] if line else None),
        row=f"line {line[1]}" if line else None,
    )


def _by_state(state: str) -> tuple[_Kind, str | None]:
    return next((_STATES[state[:n]] for n in (5, 4, 3, 2) if state[:n] in _STATES), (ArrowsyncError, None))


def _by_words(
    text: str, otherwise: tuple[_Kind, str | None] = (ArrowsyncError, None)
) -> tuple[_Kind, str | None]:
    found = ((kind, hint) for words, kind, hint in _WORDS if re.search(words, text, re.IGNORECASE))
    return next(found, otherwise)


def _details(error: Exception) -> dict[str, str]:
    pairs = getattr(error, "details", None) or []
    return {_text(name).removeprefix("PG_DIAG_"): _text(value) for name, value in pairs}


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _sentence(text: str) -> str:
    """The first line that says something, without the driver's and libpq's prefixes."""
    text = _QUOTING.sub("", text)
    text = _NOISE.sub("", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].removeprefix("Failed to connect: ").rstrip(".") if lines else "the driver gave no reason"


_DENIED = re.compile(r"permission denied (?:for|to create temporary tables in) (\w+) (?:\w+ )?(\S+)")
_GRANTS = {
    "schema": "usage (source) or usage, create (target) on schema",
    "database": "connect, create, temporary on database",
    "sequence": "usage, update on sequence",
}


POLICY = (
    "To read all rows: alter role … bypassrls, or copy as the table's owner; "
    "row_security (--row-security) reads those that the policies show"
)


def _missing_right(message: str) -> str | None:
    """What to do about a right that the user lacks."""
    if match := _DENIED.search(message):
        grant = _GRANTS.get(match[1], "select (source) or insert (target) on")
        return f"grant {grant} {match[2].rstrip(':.')} to this user"
    if "row-level security" in message:
        return POLICY
    return "Run it as the owner" if "must be owner" in message else None
