"""Other databases' defaults that mean the same here: literals and CURRENT_*, fitted to the column's type."""

from __future__ import annotations

import re

from arrowsync.dialects.postgresql.typename import TypeName

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_BYTES = re.compile(r"[xX]'((?:[0-9a-fA-F]{2})*)'")
_STAMP = {
    "date": r"\d{4}-\d\d-\d\d",
    "time without time zone": r"\d\d:\d\d(:\d\d(\.\d+)?)?",
    "timestamp without time zone": r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?",
    "timestamp with time zone": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:?\d\d)",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
_TEXTUAL = {"text", "character varying", "bpchar", "name"}
_INTEGERS = {"smallint", "integer", "bigint"}
_NUMBERS = _INTEGERS | {"real", "double precision", "numeric"}
_BOOLEANS = {"1": "true", "0": "false", "true": "true", "false": "false"}

# (what is written, the column's type) -> what PostgreSQL writes. Other databases' CURRENT_* are UTC, and in a
# text column they are that text.
_NOW = "current_timestamp at time zone 'UTC'"
_CURRENT: dict[tuple[str, str], str] = {
    ("current_timestamp", "timestamp with time zone"): "current_timestamp",
    ("current_timestamp", "timestamp without time zone"): f"({_NOW})",
    ("current_timestamp", "text"): f"to_char({_NOW}, 'YYYY-MM-DD HH24:MI:SS')",
    ("current_date", "date"): f"({_NOW})::date",
    ("current_date", "text"): f"to_char({_NOW}, 'YYYY-MM-DD')",
    ("current_time", "time without time zone"): f"({_NOW})::time",
    ("current_time", "text"): f"to_char({_NOW}, 'HH24:MI:SS')",
}


def carried_default(written: str, type: TypeName) -> str | None:
    """The default for a PostgreSQL column of that type; None for what might mean something else there."""
    text = written.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    word = text.lower()
    if type.array or word == "null":
        return None
    if word.startswith("current_"):
        return _CURRENT.get((word, "text" if type.bare in _TEXTUAL else type.bare))
    if type.bare == "bytea":
        return f"'\\x{match[1]}'" if (match := _BYTES.fullmatch(text)) else None
    quoted = _TEXT.fullmatch(text)
    value = quoted[1].replace("''", "'") if quoted else text
    return _literal(value, type, quoted=bool(quoted))


def _literal(value: str, type: TypeName, *, quoted: bool) -> str | None:
    number = _NUMBER.fullmatch(value)
    if type.bare in _TEXTUAL:
        return "'" + value.replace("'", "''") + "'" if quoted or number else None
    if type.bare == "boolean":
        return _BOOLEANS.get(value.lower())
    if type.bare in _NUMBERS and number:
        whole = type.bare not in _INTEGERS or not (number[2] or number[3] or "." in value)
        return value if whole else None
    if type.bare in _STAMP and quoted and re.fullmatch(_STAMP[type.bare], value):
        return f"'{value}'"
    return None
