"""Copies a table over real connections by one chosen route per column, without the engine in between."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import ColumnPlan, Form, Route, TablePlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Column, NativeType, Table, TableName, UserType
from arrowsync.core.transfer import Transfer
from arrowsync.core.write_modes import decide
from arrowsync.dialects.dialect import Dialect
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.drivers import find_driver

WHOLE = Partition(0)


def connect(dialect: Dialect, uri: str, *, read_only: bool) -> AdbcConnection:
    return AdbcConnection(Address(uri, find_driver(dialect), dialect), read_only=read_only)


def plan_of(
    source: AdbcConnection, target: AdbcConnection, name: TableName, into: TableName, **asked: object
) -> TablePlan:
    """The plan that the engine would make; an existing target table is described first."""
    table = source.dialect.describe(source, [name])[0]
    return plan_for(source, target, table, into, **asked)


def plan_for(
    source: AdbcConnection, target: AdbcConnection, table: Table, into: TableName, **asked: object
) -> TablePlan:
    transfer = Transfer.of("postgresql://a:1/a", "postgresql://b:1/b", **asked)
    existing = next(iter(target.dialect.describe(target, [into])), None)
    forms = source.dialect.forms(source, table)
    types = target.dialect.user_types(target, table)
    return planned(target.dialect, table, forms, transfer, into, existing, types)


def planned(
    dialect: Dialect,
    table: Table,
    forms: Forms,
    transfer: Transfer,
    into: TableName,
    existing: Table | None,
    types: Sequence[UserType] = (),
) -> TablePlan:
    """The plan of one table, as the planner makes it when no earlier run has left anything."""
    write = decide(transfer.mode, exists=existing is not None)
    conform, replaced = (None, existing) if write.makes_table else (existing, None)
    made, columns = dialect.design(table, forms, transfer, into, conform, replaced, types)
    return dialect.statements(TablePlan(transfer, table, made, columns, write=write, where=transfer.where))


def by(plan: TablePlan, column: str, route: Route) -> TablePlan:
    """The plan in which that column takes that route and no other."""
    columns = tuple(replace(c, routes=(route,)) if c.source.name == column else c for c in plan.columns)
    return replace(plan, columns=columns)


def conform(column: ColumnPlan, array: pa.Array) -> pa.Array:
    form, storage = column.route.form, column.route.storage
    assert array.type == form.read
    array = form.decode(array) if form.decode else array
    array = storage.encode(array) if storage.encode else array
    plain = isinstance(array, pa.ExtensionArray) and not isinstance(storage.arrow, pa.BaseExtensionType)
    return array.storage if plain else array


def conformed(plan: TablePlan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(column.target.name, column.route.storage.arrow) for column in plan.columns])
    for batch in batches:
        arrays = [conform(column, array) for column, array in zip(plan.columns, batch.columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def copy(
    source: AdbcConnection, target: AdbcConnection, plan: TablePlan, partition: Partition = WHOLE
) -> int:
    """One partition in one transaction of the target; rolled back and raised if anything refuses."""
    reading = source.dialect
    read: list[pa.RecordBatch] = []
    for query, options in reading.reads(plan, partition, batch_bytes=1 << 20):
        with source.stream(query, options) as batches:
            read += reading.unwrap(batches, plan)
    return write(target, plan, list(conformed(plan, read)))


def write(target: AdbcConnection, plan: TablePlan, batches: list[pa.RecordBatch]) -> int:
    writing = target.dialect
    schema = pa.schema([(column.target.name, column.route.storage.arrow) for column in plan.columns])
    target.run(writing.capabilities.begin_write)
    try:
        into = TableName(plan.staging_name) if plan.staged else plan.write_table
        options = writing.capabilities.staging_options if plan.staged else writing.ingest_options(into)
        for statement in writing.staging(plan) if plan.staged else ():
            target.run(statement)
        rows = target.ingest(into.name, pa.RecordBatchReader.from_batches(schema, batches), options)
        for statement in writing.insert_from_staging(plan) if plan.staged else ():
            target.run(statement)
        target.run("commit")
        return rows
    except BaseException:
        target.run("rollback")
        raise


def frame(*columns: tuple[str, pa.Array]) -> tuple[Table, Forms]:
    """Arrow arrays as a source, as files and frames are: plain forms, no SQL."""
    made = tuple(
        Column(name, str(array.type), NativeType("arrow", str(array.type))) for name, array in columns
    )
    forms = {name: (Form(name, array.type, array.type),) for name, array in columns}
    return Table(TableName("frame"), "arrow", made, kind="frame"), forms


def append(
    target: AdbcConnection, into: TableName, *columns: tuple[str, pa.Array], **asked: object
) -> TablePlan:
    """Write the arrays into the table, made if it is not there, by the first routes."""
    table, forms = frame(*columns)
    transfer = Transfer.of("frame", "postgresql://b:1/b", **asked)
    existing = next(iter(target.dialect.describe(target, [into])), None)
    plan = planned(target.dialect, table, forms, transfer, into, existing)
    for statement in plan.write.before:
        target.run(statement)
    arrays = dict(columns)
    kept = [arrays[column.source.name] for column in plan.columns]
    batch = pa.RecordBatch.from_arrays(kept, names=[column.source.name for column in plan.columns])
    write(target, plan, list(conformed(plan, [batch])))
    for statement in plan.write.after:
        target.run(statement)
    return plan
