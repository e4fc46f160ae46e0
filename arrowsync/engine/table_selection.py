"""Finds the tables that a transfer means, each with the wanted columns, and the order to copy them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arrowsync.core.contracts import Source
from arrowsync.core.table import Table, TableName, find_table, match_tables
from arrowsync.core.transfer import Transfer
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.projection import narrowed
from arrowsync.errors import ConfigError


def find_tables(transfer: Transfer, source: Source) -> tuple[list[Table], OddTables]:
    """The tables that the transfer means, with only the wanted columns, and those that cannot be described.

    Raises ConfigError.
    """
    found, odd = _tables(transfer, source)
    tables = []
    for table in found:
        with odd.set_aside(table.name):
            tables.append(narrowed(table, transfer))
    _check_used(transfer, tables)
    return tables, odd


def _tables(transfer: Transfer, source: Source) -> tuple[list[Table], OddTables]:
    if source.capabilities.one_table:
        only = _only_table(transfer, source)
        return [only], OddTables(named=[only.name])
    if transfer.query is not None:
        if not transfer.target_table:
            raise ConfigError(
                "a query needs the name of its target", hint="Give target_table (--target-table)"
            )
        rows = source.describe_query(TableName.parse(transfer.target_table), transfer.query)
        return [rows], OddTables(named=[rows.name])
    names = source.names(views=transfer.views)
    if not names:
        _check_holds_tables(transfer, source)
    if transfer.tables or transfer.patterns:
        named = [find_table(wanted, source.names(views=True)) for wanted in transfer.tables]
        chosen = list(named)
        if transfer.patterns:
            chosen += [name for name in match_tables(transfer.patterns, names) if name not in chosen]
    else:
        named, chosen = [], names
    if transfer.target_table and len(chosen) != 1:
        raise ConfigError(f"one target table for {len(chosen)} tables", hint="Name one source table")
    odd = OddTables(named)
    # A view is meant as a table of its rows where it is named.
    return [replace(t, view=None) if t.name in named else t for t in odd.describe(source, chosen)], odd


def _check_holds_tables(transfer: Transfer, source: Source) -> None:
    """For a source without tables, which may be the target of the copy that was meant; or hold views."""
    views = source.names(views=True)
    if not views:
        hint = "Are source and target the right way round?"
    elif not transfer.tables:
        hint = "It holds views: --views (views=True) takes them, --table one of them"
    else:
        return
    raise ConfigError(f"{source.identity} holds no tables", hint=hint)


def row_filter(transfer: Transfer) -> str | None:
    """The condition on a table's rows that all who read it go by: its readers, counts and fingerprints."""
    return transfer.where


def _only_table(transfer: Transfer, source: Source) -> Table:
    """The table of a source that has no others. The transfer's `tables` are the target's name then."""
    for what, given in (("where", row_filter(transfer)), ("query", transfer.query)):
        if given is not None:
            raise ConfigError(
                f"{what}: {source} knows no SQL",
                hint="Select the rows with DuckDB or polars, and copy that frame",
            )
    if len(transfer.tables) > 1 or transfer.patterns:
        raise ConfigError(f"{source} is one table", hint="--table gives it a name in the target")
    return source.describe(source.names())[0]


def _check_used(transfer: Transfer, tables: Sequence[Table]) -> None:
    """A rename, cast or key of a column that no table has is a slip of the pen."""
    for what, names in (("rename", transfer.rename), ("cast", transfer.cast), ("key", transfer.key)):
        for name in names:
            if not any(name == column.name for table in tables for column in table.columns):
                if len(tables) == 1:
                    tables[0].column(name)
                raise ConfigError(f"{what}: no table has a column {name!r}")


def in_reference_order(tables: Sequence[Table]) -> list[Table]:
    """Tables after those that their foreign keys name, views after what they read.

    A cycle keeps the order that was given.
    """
    waiting, ordered = sorted(tables, key=lambda table: table.view is not None), []
    while waiting:
        names = {table.name for table in waiting}
        ready = [table for table in waiting if not needs(table) & (names - {table.name})]
        for table in ready or waiting[:1]:
            ordered.append(table)
            waiting.remove(table)
    return ordered


def needs(table: Table) -> set[TableName]:
    """The tables that it refers to or, as a view, reads."""
    return {key.references for key in table.foreign_keys}.union(table.view.reads if table.view else ())
