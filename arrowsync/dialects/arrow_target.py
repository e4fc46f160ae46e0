"""Designs tables that a driver makes of Arrow data, or that rows are added to by their Arrow types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.table import Table, TableName, not_carried
from arrowsync.core.transfer import Transfer
from arrowsync.dialects import arrow_design, losses, objects
from arrowsync.dialects.arrow_columns import StoredColumn
from arrowsync.dialects.arrow_types import holds_coarse, plain
from arrowsync.errors import ConfigError


def design(
    source: Table, forms: Forms, transfer: Transfer, name: TableName, existing: Table | None
) -> tuple[Table, tuple[ColumnPlan, ...]]:
    """See Sink.design. Into an existing table all columns go, in its order: right by name and by position."""
    if existing is None:
        table, columns = arrow_design.design(source, forms, transfer, name, None)
        plain = tuple(replace(column, nullable=True) for column in table.columns)
        return replace(table, columns=plain, kind="table", primary_key=None), columns
    assert existing.arrow is not None, "it is described with its schema"
    stored = [
        replace(StoredColumn.of(field), type=_held(field.type), nullable=column.nullable)
        for field, column in zip(existing.arrow, existing.columns, strict=True)
    ]
    _, columns = arrow_design.design(source, forms, transfer, name, stored)
    by_name = {column.target.name: column for column in columns}
    objects.refuse_missing(existing, list(by_name))
    return existing, tuple(by_name[column.name] for column in existing.columns)


def _held(type: pa.DataType) -> pa.DataType:
    """The one type for all that hold the same values; seconds stay seconds, whose driver would cut others."""
    return type if holds_coarse(type) else plain(type)


def checked(plan: TablePlan) -> TablePlan:
    """The plan, which needs no statements: the ingest makes the table. Raises ConfigError."""
    if plan.transfer.schema_only:
        raise ConfigError(
            "schema_only: this database's driver makes a table by its rows alone",
            hint="Leave schema_only (--schema-only) out",
        )
    if plan.write.swaps:
        raise ConfigError(
            f"mode {plan.transfer.mode} is not possible here: only what any ADBC driver can do is known of "
            f"this database, and {plan.target.name} is there",
            hint="Use mode append, name another table with --target-table, or drop this one first",
        )
    if not plan.write.makes_table:
        return plan
    lost = losses.of_table(plan.source, plan.target, {})
    return replace(plan, warnings=(*plan.warnings, *_not_carried(plan), *lost))


def _not_carried(plan: TablePlan) -> Iterator[str]:
    source = plan.source
    what = {
        "primary key": source.primary_key,
        "unique constraints": source.unique,
        "checks": source.checks,
        "foreign keys": source.foreign_keys,
        "indexes": source.indexes,
        "not null": any(not column.nullable for column in source.columns),
    }
    if missing := [name for name, there in what.items() if there]:
        yield f"{not_carried(missing)}: the driver makes a table of names and types"
