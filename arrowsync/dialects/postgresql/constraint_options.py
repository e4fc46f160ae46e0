"""What constraints and indexes say beyond their columns, read from the texts that pg_catalog writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from arrowsync.core.table import Column, quoted
from arrowsync.dialects.postgresql.typename import TypeName

_QUOTED = re.compile(r'"(?:[^"]|"")*"' + r"|'(?:[^']|'')*'")
_OF_KEYS = re.compile(r" NULLS NOT DISTINCT| WITHOUT OVERLAPS| DEFERRABLE(?: INITIALLY DEFERRED)?")
_OF_REFERENCES = re.compile(r" MATCH FULL| PERIOD(?= )| SET (?:NULL|DEFAULT) \([^)]*\)")
_OF_INDEXES = re.compile(r" NULLS NOT DISTINCT")
_COLLATION = re.compile(r"(?<= COLLATE )[^ ,)]+")
_OF_BYTES = {'"C"', '"POSIX"', "ucs_basic"}
_NAME = re.compile(r'([(,] ?)?("(?:[^"]|"")*"|[a-z_][a-z0-9_$]*)')


def of_key(definition: str, equalizing: Sequence[str]) -> tuple[str, ...]:
    """`equalizing` is what makes different texts of its columns equal."""
    return tuple(dict.fromkeys((*_found(_OF_KEYS, definition), *equalizing)))


def of_foreign_key(definition: str) -> tuple[str, ...]:
    return tuple(_found(_OF_REFERENCES, definition))


def of_index(definition: str, equalizing: Sequence[str]) -> tuple[str, ...]:
    """A collation that makes no texts equal sorts them all the same, unless it does by their bytes."""
    collations = (name.replace("\0", " ") for name in _COLLATION.findall(_packed(definition)))
    others = (name for name in collations if name not in _OF_BYTES and f"collate {name}" not in equalizing)
    sorting = (f"sorting by {name}" for name in others)
    return tuple(dict.fromkeys((*_found(_OF_INDEXES, definition), *sorting, *equalizing)))


def _found(pattern: re.Pattern[str], definition: str) -> Iterator[str]:
    for text in pattern.findall(_packed(definition)):
        yield text.replace("\0", " ").strip().lower()


def _packed(definition: str) -> str:
    """Without blanks inside quotes: a keyword with blanks around it is one."""
    return _QUOTED.sub(lambda match: match[0].replace(" ", "\0"), definition)


def comparison(column: Column) -> str | None:
    """What makes different texts equal, where the column's type does."""
    bare = TypeName.parse(column.base or column.type).bare
    return f"comparison of {bare}" if unquoted(bare.rpartition(".")[2]) == "citext" else None


def renamed(definition: str, names: Mapping[str, str]) -> str | None:
    """A key's or a plain index's definition with its columns' new names; None without one of the columns.

    Columns, and nothing else that is not in capitals, stand behind a bracket or a comma.
    """
    start = behind_using(definition) if definition.startswith("CREATE ") else 0
    body, options, rest = definition[start:].partition(" WITH (")
    columns = {text: unquoted(text) for lead, text in _NAME.findall(body) if lead}
    if not names.keys() >= set(columns.values()):
        return None
    if all(names[name] == name for name in columns.values()):
        return definition

    def rename(match: re.Match[str]) -> str:
        lead, text = match.groups()
        return match[0] if lead is None else lead + quoted(names[columns[text]])

    return definition[:start] + _NAME.sub(rename, body) + options + rest


def behind_using(definition: str) -> int:
    """Where pg_get_indexdef begins to tell method, columns, conditions: behind two names."""
    position, inside = 0, False
    while inside or not definition.startswith(" USING ", position):
        inside ^= definition[position] == '"'
        position += 1
    return position + len(" USING ")


def unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
