"""Which columns of an existing table a source's columns mean, by which names; the same for every dialect."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from arrowsync.core.table import Column, Table, columns_there
from arrowsync.core.transfer import Transfer
from arrowsync.errors import ConfigError, SchemaError

_TOKEN = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | [\w$.]+ | \S""", re.VERBOSE)


def new_names(source: Table, transfer: Transfer) -> dict[str, str]:
    """The source's column names and what they are called in a new table."""
    names = {column.name: transfer.rename.get(column.name, column.name) for column in source.columns}
    if len(set(names.values())) < len(names):
        raise ConfigError("rename gives two columns the same name", table=str(source.name))
    return names


def matched(source: Table, existing: Table, transfer: Transfer) -> list[tuple[Column, Column]]:
    """Each source column with the existing column of its name. Raises SchemaError."""
    pairs = [
        (column, _find(existing, transfer.rename.get(column.name, column.name))) for column in source.columns
    ]
    given = {into.name for _, into in pairs}
    if len(given) < len(pairs):
        raise SchemaError("two source columns mean the same target column", table=str(existing.name))
    _check_generated(source, existing, pairs)
    for column in existing.columns:
        optional = column.nullable or column.default or column.identity or column.generated
        if column.name not in given and not optional:
            raise SchemaError(
                "the target column is not null, has no default, and the source has no such column",
                table=str(existing.name),
                column=column.name,
                hint="Give it a default, or rename a source column to it",
            )
    return pairs


def _find(table: Table, name: str) -> Column:
    exact = [column for column in table.columns if column.name == name]
    found = exact or [column for column in table.columns if column.name.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    names = [column.name for column in table.columns]
    raise SchemaError(
        "the target has no such column" if not found else "the target has several such columns",
        table=str(table.name),
        column=name,
        hint=f"{columns_there(name, names)}. Use rename, columns or exclude",
    )


# -- columns that the target computes ----------------------------------------------------------------------


def _check_generated(source: Table, existing: Table, pairs: Sequence[tuple[Column, Column]]) -> None:
    """A generated column takes no values: the source's are lost unless it computes the same ones."""
    renamed = {column.name: into.name for column, into in pairs}
    given = {into.name for _, into in pairs}
    missing = {column.name.casefold() for column in existing.columns if column.name not in given}
    lost = []
    for column, into in pairs:
        expression = _tokens(into.generated or "")
        same = [renamed.get(text, text) for text in _tokens(column.generated or "")] == expression
        portable = source.dialect == existing.dialect or _is_arithmetic(expression, given)
        if expression and not (same and portable and missing.isdisjoint(map(str.casefold, expression))):
            lost.append((column, into))
    if lost:
        raise SchemaError(
            f"the target computes what the source has values for: {'; '.join(_both(*pair) for pair in lost)}",
            table=str(existing.name),
            hint=f"Leave it out with exclude (--exclude {','.join(column.name for column, _ in lost)})",
        )


def _both(column: Column, into: Column) -> str:
    theirs = f", in the source as {column.generated}" if column.generated else ""
    return f"column {into.name!r} is generated as {into.generated}{theirs}"


def _tokens(expression: str) -> list[str]:
    """The words and signs of an expression, without the quotes of names and the brackets around it all."""
    found = _TOKEN.findall(expression)
    while found[:1] == ["("] and _closing(found) == len(found) - 1:
        found = found[1:-1]
    return [text[1:-1].replace('""', '"') if text.startswith('"') else text for text in found]


def _closing(tokens: Sequence[str]) -> int:
    """Where the bracket that opens first is closed."""
    depth = 0
    for place, text in enumerate(tokens):
        depth += (text == "(") - (text == ")")
        if depth == 0:
            return place
    return len(tokens)


def _is_arithmetic(tokens: Sequence[str], names: Collection[str]) -> bool:
    """Whether every database computes the same; functions, comparisons and quotients differ between them."""
    calls = any(text == "(" and before in names for before, text in pairwise(tokens))
    return not calls and all(text in names or text.isdecimal() or text in "-+*()" for text in tokens)
