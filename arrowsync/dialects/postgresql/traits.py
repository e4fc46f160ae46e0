"""What constraints and indexes say beyond their columns, read from the texts that pg_catalog writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from arrowsync.core.table import Column
from arrowsync.dialects.postgresql.typename import TypeName

_QUOTED = re.compile(r'"(?:[^"]|"")*"' + r"|'(?:[^']|'')*'")
_OF_KEYS = re.compile(r" NULLS NOT DISTINCT| WITHOUT OVERLAPS| DEFERRABLE(?: INITIALLY DEFERRED)?")
_OF_REFERENCES = re.compile(r" MATCH FULL| PERIOD(?= )| SET (?:NULL|DEFAULT) \([^)]*\)")
_OF_INDEXES = re.compile(r" NULLS NOT DISTINCT| COLLATE [^ ,)]+")
_NAME = re.compile(r'([(,] ?)?("(?:[^"]|"")*"|[a-z_][a-z0-9_$]*)')


def of_key(definition: str, columns: Sequence[str], equalizing: Mapping[str, str]) -> tuple[str, ...]:
    return _traits(_OF_KEYS, definition, columns, equalizing)


def of_index(definition: str, columns: Sequence[str], equalizing: Mapping[str, str]) -> tuple[str, ...]:
    return _traits(_OF_INDEXES, definition, columns, equalizing)


def of_foreign_key(definition: str) -> tuple[str, ...]:
    return _traits(_OF_REFERENCES, definition, (), {})


def _traits(
    pattern: re.Pattern[str], definition: str, columns: Sequence[str], equalizing: Mapping[str, str]
) -> tuple[str, ...]:
    of_columns = (equalizing[column] for column in columns if column in equalizing)
    return tuple(dict.fromkeys((*_found(pattern, definition), *of_columns)))


def _found(pattern: re.Pattern[str], definition: str) -> Iterator[str]:
    # No blank inside quotes: a keyword with blanks around it is one.
    packed = _QUOTED.sub(lambda match: match[0].replace(" ", "\0"), definition)
    for text in pattern.findall(packed):
        head, collate, name = text.strip().replace("\0", " ").partition("COLLATE ")
        yield f"collate {name}" if collate else head.lower()


def equalizing(columns: Sequence[Column], collations: Sequence[str | None]) -> dict[str, str]:
    """What makes different texts of a column equal: a nondeterministic collation (else None), or its type."""
    found = {}
    for column, collation in zip(columns, collations, strict=True):
        bare = TypeName.parse(column.base or column.type).bare
        if collation:
            found[column.name] = f"collate {collation}"
        elif unquoted(bare.rpartition(".")[2]) == "citext":
            found[column.name] = f"comparison of {bare}"
    return found


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


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
