"""What inspection shows: the tables of a place, and each with its columns, keys and indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from arrowsync.core.plan import Skipped
from arrowsync.core.table import Column, Table
from arrowsync.core.units import format_bytes
from arrowsync.display import Shown
from arrowsync.display.document import (
    Code,
    Document,
    Facts,
    Grid,
    Heading,
    Notes,
    Section,
    Text,
    Toned,
    grid,
    parts,
)
from arrowsync.display.formatting import about, about_rows, count, noun

WHOLE_AT_MOST = 8  # tables that a terminal shows with their columns; of more, it shows the list


@dataclass(frozen=True, slots=True, repr=False)
class Tables(Sequence[Table], Shown):
    """The tables of a place, in the order asked for. Prints itself as text, and as tables in a notebook."""

    place: str
    tables: tuple[Table, ...]
    skipped: tuple[Skipped, ...] = ()  # of those that nobody named, the ones that cannot be described

    def __len__(self) -> int:
        return len(self.tables)

    @overload
    def __getitem__(self, at: int) -> Table: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Table, ...]: ...
    def __getitem__(self, at: int | slice) -> Table | tuple[Table, ...]:
        return self.tables[at]

    __repr__ = Shown.__repr__

    def __str__(self) -> str:
        return Shown.__str__(self)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return {
            "place": self.place,
            "tables": [table.to_dict() for table in self.tables],
            "warnings": list(map(str, self.skipped)),
        }

    def document(self) -> Document:
        """A list; below it, where they are few, each table with its columns, keys and indexes."""
        whole = len(self) <= WHOLE_AT_MOST
        hint = "" if whole else "; name one to see its columns"
        return Document(
            Toned(f"{self.place}: {noun(len(self), 'table')}{hint}"),
            parts(
                [
                    _list(self.tables) if len(self) != 1 else None,
                    *(_whole(table, is_open=len(self) == 1) for table in self.tables if whole),
                    Notes(tuple(Toned(str(each), "warn") for each in self.skipped)),
                ]
            ),
        )


def _list(tables: Sequence[Table]) -> Grid:
    headings = (
        Heading("table"),
        Heading("rows", right=True),
        Heading("size", right=True, optional=True),
        Heading("columns", right=True),
        Heading("primary key", optional=True),
        Heading("kind", optional=True),
        Heading("comment", optional=True),
    )
    return grid(headings, map(_list_row, tables))


def _list_row(table: Table) -> tuple[Text, ...]:
    return (
        str(table.name),
        about(table.rows, exact=table.rows_exact),
        _size(table),
        count(len(table.columns)),
        _names(table.primary_key.columns if table.primary_key else ()),
        Toned(table.kind, "dim"),
        table.comment or "",
    )


def _size(table: Table) -> str:
    return "?" if table.bytes is None else format_bytes(table.bytes)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(columns)


def _whole(table: Table, *, is_open: bool) -> Section:
    rows = f"{about_rows(table.rows, exact=table.rows_exact)}, {_size(table)}"
    return Section(
        f"{table.name} ({table.kind}, {rows})",
        parts([_columns(table), _constraints(table), Code(table.definition or "")]),
        open=is_open,
    )


def _columns(table: Table) -> Grid:
    headings = (
        Heading("column"),
        Heading("type"),
        Heading("null"),
        Heading("default", optional=True),
        Heading("comment", optional=True),
    )
    return grid(headings, map(_column, table.columns))


def _column(column: Column) -> tuple[Text, ...]:
    declared = column.type or "(none)"
    home = "" if column.origin.name == column.type else f" (was {column.origin.dialect} {column.origin.name})"
    return (
        column.name,
        declared + home,
        Toned("null", "dim") if column.nullable else "not null",
        _default(column),
        column.comment or "",
    )


def _default(column: Column) -> str:
    if column.generated:
        return f"generated as ({column.generated})"
    if column.identity:
        return f"identity, {column.identity}"
    return column.default or ""


def _constraints(table: Table) -> Facts:
    return Facts(tuple(_constraint_lines(table)))


def _constraint_lines(table: Table) -> Iterator[tuple[str, Text]]:
    if table.primary_key:
        yield "primary key", _names(table.primary_key.columns)
    for key in table.unique:
        yield "unique", _names(key.columns)
    for foreign in table.foreign_keys:
        yield (
            "foreign key",
            f"{_names(foreign.columns)} → {foreign.references} ({_names(foreign.referenced)})",
        )
    for check in table.checks:
        yield "check", check.expression
    for index in table.indexes:
        yield (
            "unique index" if index.unique else "index",
            f"{index.name} ({_names(index.columns) or 'expression'})",
        )
    if table.partition_key:
        yield "partitioned by", table.partition_key
