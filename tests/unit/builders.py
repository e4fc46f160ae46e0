"""Plans, events and reports for tests of what people see; no database is asked."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from arrowsync.core.events import (
    BatchWritten,
    Event,
    PartitionCommitted,
    PartitionStarted,
    TableFinished,
    TableStarted,
)
from arrowsync.core.plan import ColumnPlan, Fidelity, Form, Route, Storage, TablePlan
from arrowsync.core.receipts import Fingerprint, Receipt
from arrowsync.core.table import Column, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.report import Collector, Report
from tests.fakes import FakeClock

TRANSFER = Transfer(source="sqlite:///home/me/shop.db", target="postgresql://localhost:5432/shop")


def a_table(name: str = "orders", columns: tuple[str, ...] = ("id",), **fields: object) -> Table:
    made = tuple(Column(each, "bigint", NativeType("sqlite", "INTEGER")) for each in columns)
    return Table(TableName(name), "sqlite", made, **({"rows": 1000, "bytes": 10_000} | fields))


def a_plan(
    table: Table, *, fidelity: Fidelity = Fidelity.EXACT, reason: str = "", **fields: object
) -> TablePlan:
    route = Route(Form('"id"', pa.int64(), pa.int64()), Storage(pa.int64(), fidelity=fidelity, reason=reason))
    columns = tuple(ColumnPlan(column, column, (route,)) for column in table.columns)
    target = replace(table, name=TableName(table.name.name, "public"))
    return TablePlan(TRANSFER, table, target, columns, **fields)


def a_receipt(partition: int, rows: int, **fields: object) -> Receipt:
    return Receipt(partition, rows, Fingerprint(rows, 7), rows * 10, **fields)


def a_batch(table: str, partition: int, rows: int, *, memory: int = 0) -> BatchWritten:
    return BatchWritten(
        table=table,
        partition=partition,
        rows=rows,
        bytes=rows * 10,
        seconds=0.5,
        next_rows=rows,
        memory=memory,
    )


def events(
    table: str, batches: tuple[int, ...] = (100, 200, 50), *, seconds: float = 2.0, **receipt: object
) -> list[Event]:
    """A table of one partition that is copied in those batches."""
    return [
        TableStarted(table=table, plan=a_plan(a_table(table))),
        PartitionStarted(table=table, partition=0),
        *(a_batch(table, 0, rows) for rows in batches),
        PartitionCommitted(
            table=table, receipt=a_receipt(0, sum(batches), **receipt), seconds=1.0, query_seconds=0.75
        ),
        TableFinished(table=table, status="complete", rows=sum(batches), seconds=seconds),
    ]


def a_report(*tables: str, clock: FakeClock | None = None, **finish: object) -> Report:
    """The report of tables that were copied whole, within two seconds."""
    clock = clock or FakeClock()
    collector = Collector(TRANSFER, clock=clock)
    for table in tables:
        for event in events(table):
            collector(event)
        collector.finish_table(table, verified="count")
    clock.seconds += 2.0
    return collector.finish(**finish)
