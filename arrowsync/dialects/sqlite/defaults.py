"""Defaults between databases: literals and the current time; every other expression stays where it was."""

from __future__ import annotations

import re

# What SQLite is to write so that it reads back as our own text of the type does -> what it means.
_NOW = {
    "timestamp with": "strftime('%Y-%m-%d %H:%M:%f000Z', 'now')",
    "timestamp": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "date": "current_date",
    "time": "strftime('%H:%M:%f000', 'now')",
}
_MEANING = {
    _NOW["timestamp with"]: "current_timestamp",
    _NOW["timestamp"]: "current_timestamp",
    _NOW["time"]: "current_time",
}
_UTC = r" at time zone 'utc'"
_CURRENT = re.compile(
    rf"(?:now\(\)|transaction_timestamp\(\)|current_timestamp(?:\(\d\))?)(?:{_UTC})?|"
    r"(?:localtimestamp|current_date|current_time|localtime)(?:\(\d\))?",
    re.IGNORECASE,
)
_CAST = r"(?:::[\w\s\".,()\[\]]+)"
_LITERAL = re.compile(
    rf"(?P<value>'(?:[^']|'')*'|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|true|false|null){_CAST}*", re.IGNORECASE
)


def carried_default(default: str | None, declared: str) -> str | None:
    """Another database's default in SQLite's words for a column declared so; None: not carried."""
    if default is None:
        return None
    text = _bare(default)
    if _CURRENT.fullmatch(re.sub(r"'UTC'::text", "'UTC'", text, flags=re.IGNORECASE)):
        return next((now for type, now in _NOW.items() if _spoken(declared, type)), None)
    match = _LITERAL.fullmatch(text)
    if match is None or declared.upper() == "BLOB":  # '\x00ff'::bytea is text to SQLite
        return None
    value = match["value"]
    if value.lower() in ("true", "false", "null"):
        return {"true": "1", "false": "0", "null": "null"}[value.lower()]
    return value


def original_default(default: str | None) -> str | None:
    """What the default of a column of ours meant where it came from."""
    return default and _MEANING.get(default, default)


def _bare(default: str) -> str:
    """Without the brackets around it, and without casts behind those."""
    text = default.strip()
    while match := re.fullmatch(rf"\((?P<inside>.*)\){_CAST}*", text, re.DOTALL):
        text = match["inside"].strip()
    return text


def _spoken(declared: str, type: str) -> bool:
    if type == "timestamp with":
        return declared.startswith("timestamp") and "with time zone" in declared
    return declared.startswith(type)
