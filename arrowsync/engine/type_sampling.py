"""Designs target tables: by types that all values allow, or that a sample of the rows lets sample_types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arrowsync.core.contracts import Forms, Sink, Source
from arrowsync.core.plan import ColumnPlan, Fidelity, TablePlan
from arrowsync.core.table import Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.engine.table_selection import row_filter
from arrowsync.errors import SchemaError


def can_start_over(transfer: Transfer, sink: Sink) -> bool:
    """Whether a copy that has begun may turn to other types: nobody sees its rows, or has chosen types.

    Rows that a condition leaves out decide on types too, and are not copied.
    """
    return (
        transfer.journal is not None
        and not sink.capabilities.one_table
        and not transfer.schema_only
        and row_filter(transfer) is None
        and not transfer.cast
    )


def designed(
    transfer: Transfer,
    table: Table,
    source: Source,
    sink: Sink,
    name: TableName,
    existing: Table | None,
    replaced: Table | None,
    *,
    sample_types: bool,
) -> tuple[Table, tuple[ColumnPlan, ...], bool]:
    """The target table, its columns' routes, and whether their types are sampled; see Sink.design."""
    if table.quarantined and (existing or replaced):
        return *_recovered(transfer, table, source.forms(table), sink, name, existing, replaced), False
    if sample_types and (forms := source.sampled(table)):
        target, columns = sink.design(table, forms, transfer, name, existing, replaced)
        if all(column.route.form is forms[column.source.name][0] for column in columns):
            return target, columns, True  # else carrying every row would not prove the type
    return *sink.design(table, source.forms(table), transfer, name, existing, replaced), False


def _recovered(
    transfer: Transfer,
    table: Table,
    forms: Forms,
    sink: Sink,
    name: TableName,
    existing: Table | None,
    replaced: Table | None,
) -> tuple[Table, tuple[ColumnPlan, ...]]:
    """The design for quarantined rows: a column that does not fit is cast to the target column's type.

    Tools with which people repair rows keep values, but not types: pandas makes floats of integers beside
    NULL, DuckDB plain text of what was a type's own text.
    """
    while True:
        try:
            return sink.design(table, forms, transfer, name, existing, replaced)
        except SchemaError as error:
            names = {column.name for column in table.columns} - transfer.cast.keys()
            if error.column not in names:
                raise
            transfer = replace(transfer, cast={**transfer.cast, error.column: ""})


def certain(plan: TablePlan, source: Source, sink: Sink) -> TablePlan:
    """The sampled plan with the types that all values allow."""
    target, columns, _ = designed(
        plan.transfer, plan.source, source, sink, plan.target.name, None, None, sample_types=False
    )
    target = replace(target, dependents=plan.target.dependents)
    of_types = sink.statements(replace(plan, warnings=())).warnings
    kept = tuple(warning for warning in plan.warnings if warning not in of_types)
    plan = replace(plan, target=target, columns=columns, warnings=kept, sampled=False)
    refuse_losses([plan])
    return sink.statements(plan)


def types(columns: Sequence[ColumnPlan]) -> list[str]:
    """What a sampled plan leaves in the journal: with other types nobody can go on there."""
    return [column.target.type for column in columns]


def refuse_losses(plans: Sequence[TablePlan]) -> None:
    """Raises SchemaError for columns that would lose something, to which nobody has agreed."""
    lossy = [
        f"{plan.source.name}.{column.source.name} ({column.route.reason})"
        for plan in plans
        for column in plan.columns
        if column.route.fidelity is Fidelity.LOSSY
        and not (plan.transfer.allow_lossy or column.route.storage.agreed)
    ]
    if lossy:
        raise SchemaError(
            f"these columns would lose something: {'; '.join(lossy)}",
            hint="Choose an exact type with cast, or consent with allow_lossy (--allow-lossy)",
        )
