"""Which columns of an existing table a source's columns mean, by which names; the same for every dialect."""

from __future__ import annotations

from arrowsync.core.table import Column, Table, columns_there
from arrowsync.core.transfer import Transfer
from arrowsync.errors import ConfigError, SchemaError


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
