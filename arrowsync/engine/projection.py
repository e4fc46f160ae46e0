"""Leaves columns of a source's table out, and with them what says something of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from arrowsync.core.table import Check, Dependent, ForeignKey, Index, Key, Table
from arrowsync.core.transfer import Transfer
from arrowsync.errors import ConfigError, TableUnusable

_Part = Key | ForeignKey | Index | Check


def narrowed(table: Table, transfer: Transfer) -> Table:
    """The table with only the wanted columns, in the table's order; keys that lost a column are left out."""
    if not table.columns:
        raise TableUnusable("it has no columns", table=str(table.name))
    for name in (*transfer.columns, *transfer.exclude):
        table.column(name)
    kept = tuple(
        column
        for column in table.columns
        if (not transfer.columns or column.name in transfer.columns) and column.name not in transfer.exclude
    )
    if not kept:
        raise ConfigError("no column is left to copy", table=str(table.name))
    if len(kept) == len(table.columns):
        return table
    names = {column.name for column in kept}
    gone = {column.name for column in table.columns} - names
    parts = [(kind, part) for kind, part in _parts(table) if _speaks_of(part, gone)]
    lost = [part for _, part in parts]
    return replace(
        table,
        columns=kept,
        view=None,
        primary_key=None if table.primary_key in lost else table.primary_key,
        unique=tuple(key for key in table.unique if key not in lost),
        foreign_keys=tuple(key for key in table.foreign_keys if key not in lost),
        indexes=tuple(index for index in table.indexes if index not in lost),
        checks=tuple(check for check in table.checks if check not in lost),
        # What is about the columns left out alone is missed by nobody.
        dependents=(*table.dependents, *(_named(*part) for part in parts if _speaks_of(part[1], names))),
    )


def _parts(table: Table) -> Iterator[tuple[str, _Part]]:
    kinds: Sequence[tuple[str, Sequence[_Part]]] = (
        ("primary key", [table.primary_key] if table.primary_key else []),
        ("unique constraint", table.unique),
        ("foreign key", table.foreign_keys),
        ("index", table.indexes),
        ("check", table.checks),
    )
    for kind, parts in kinds:
        for part in parts:
            yield kind, part


def _speaks_of(part: _Part, names: Collection[str]) -> bool:
    """By its columns or by a word of its text: what may speak of a column is taken to do so."""
    text = _expressions(part).casefold()
    return any(
        name in part.columns or re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text)
        for name in names
    )


def _expressions(part: _Part) -> str:
    """What it says by more than its columns."""
    match part:
        case Check():
            return part.expression
        case Index():
            behind_names = (part.definition or "").partition("(")[2]
            return part.where or "" if part.columns else behind_names
    return ""


def _named(kind: str, part: _Part) -> Dependent:
    if part.name:
        return Dependent(kind, part.name)
    return Dependent(f"the {kind} of {', '.join(part.columns) or _expressions(part)}")
