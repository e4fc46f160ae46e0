"""SQLite's error texts as arrowsync's errors: it has no SQLSTATE, and ADBC's classes are no guide."""

from __future__ import annotations

import re
from collections.abc import Callable

from arrowsync.errors import ArrowsyncError, ConfigError, DataError, Refused, SchemaError, TransientError

_Make = Callable[[re.Match[str], str], ArrowsyncError]

# What other databases call it.
_STATES = {
    "UNIQUE": "23505",
    "PRIMARY KEY": "23505",
    "NOT NULL": "23502",
    "CHECK": "23514",
    "FOREIGN KEY": "23503",
}


def _constraint(match: re.Match[str], text: str) -> DataError:
    """`UNIQUE constraint failed: t.a, t.b`, or the name of a check or of an index on an expression."""
    what, state = match["what"] or "", _STATES[match["kind"]]
    if match["kind"] == "CHECK":
        return DataError(text, constraint=what, sqlstate=state)
    if what.startswith("index '"):
        return DataError(text, constraint=what[7:-1], sqlstate=state)
    columns = [part.strip().rpartition(".")[2] for part in what.split(",")]
    return DataError(
        text,
        column=columns[0] if what and len(columns) == 1 else None,
        constraint=match["kind"].lower(),
        sqlstate=state,
    )


def _refused(match: re.Match[str], text: str) -> Refused:
    """`unwrap` puts the column's name for its position."""
    return Refused(f"{match['got'].lower()} among {match['expected'].lower()} values", column=match["column"])


def _data(match: re.Match[str], text: str) -> DataError:
    return DataError(text)


def _transient(match: re.Match[str], text: str) -> TransientError:
    return TransientError(text, hint="Another program is using the file")


def _stop(kind: type[ArrowsyncError], hint: str | None = None) -> _Make:
    return lambda match, text: kind(text, hint=hint)


_TEXTS: tuple[tuple[str, _Make], ...] = (
    (
        r"(?P<kind>UNIQUE|NOT NULL|CHECK|FOREIGN KEY|PRIMARY KEY) constraint failed(: (?P<what>[^\n]*))?",
        _constraint,
    ),
    (
        r"Type mismatch in column (?P<column>\d+): expected (?P<expected>\w+) but got (?P<got>[\w ]+)",
        _refused,
    ),
    (r"datatype mismatch|cannot store \w+ value in \w+ column", _data),
    (r"string or blob too big", _data),
    (
        r"database (table |schema )?is locked|database is busy|SQLITE_BUSY|cannot start a transaction",
        _transient,
    ),
    (
        r"database or disk is full",
        _stop(ArrowsyncError, "Make room on the target's disk, then run the same command"),
    ),
    # What the driver says when SQLite has rolled back by itself, as it does when a write fails.
    (
        r"cannot rollback - no transaction",
        _stop(ArrowsyncError, "A write failed: is the target's disk full?"),
    ),
    (r"attempt to write a readonly database", _stop(ConfigError, "The file or its folder is read-only")),
    (r"file is not a database", _stop(ConfigError, "It may be encrypted, or no SQLite file at all")),
    (
        r"database disk image is malformed",
        _stop(ArrowsyncError, "Recover what is there with `sqlite3 FILE .recover`"),
    ),
    (
        r"unable to open database file|failed to allocate memory",
        _stop(ConfigError, "Is the path right, and open to this user?"),
    ),
    (r"no such (table|view|column|collation sequence|function|module): ", _stop(SchemaError)),
    (r"has no column named|too many columns|near \"|syntax error|ambiguous column", _stop(SchemaError)),
)
_PATTERNS = tuple((re.compile(pattern), make) for pattern, make in _TEXTS)


def translate(error: Exception) -> ArrowsyncError:
    text = _plain(str(error))
    for pattern, make in _PATTERNS:
        if match := pattern.search(text):
            return make(match, text)
    # A trigger's RAISE says what it likes; the driver calls it an integrity error, or says what it ingested.
    raised = type(error).__name__ == "IntegrityError" or "query was: INSERT INTO" in str(error)
    return DataError(text) if raised else ArrowsyncError(text)


def _plain(text: str) -> str:
    """The text without what the driver puts around it."""
    text = re.sub(
        r"^([A-Z_]+: )?(\[SQLite\] ?)?([Ff]ailed to (execute|prepare|step)( query)?: )?", "", text.strip()
    )
    return re.sub(r"\s*\nquery( was)?: .*", "", text, flags=re.DOTALL).strip()
