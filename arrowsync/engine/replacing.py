"""What a replace takes away: how many rows there were, and none at all where no row comes instead."""

from __future__ import annotations

from arrowsync.core.contracts import Sink, Writer
from arrowsync.core.plan import RowsHeld, TablePlan
from arrowsync.core.receipts import Receipt
from arrowsync.core.units import MiB
from arrowsync.errors import ConfigError

COUNTED_BYTES = 128 * MiB  # PostgreSQL counts so many in 0.1 s; the copy has just read or written far more


def rows_replaced(plan: TablePlan, rows: int, sink: Sink) -> RowsHeld | None:
    """What the swap is about to exchange for `rows`; None where it takes the place of no table.

    Raises ConfigError where all rows would go, and none come.
    """
    held = rows_held(plan, sink)
    if held is None or rows or not held.rows or plan.may_be_emptied:
        return held
    raise ConfigError(
        f"no row has come to replace the {held} of {plan.target.name}, which stay",
        hint="Look at the source, and at where. To empty the table: --allow-empty (allow_empty=True)",
    )


def rows_held(plan: TablePlan, sink: Sink) -> RowsHeld | None:
    """The rows of the table that a replace swaps out: counted where that is cheap."""
    table = sink.find(plan.target.name) if plan.write.swaps else None
    if table is None:
        return None
    if table.rows is not None and table.rows_exact:
        return RowsHeld(table.rows)
    # An estimate of no row is not to be trusted with a table that may hold some.
    if not table.rows or (table.bytes or 0) <= COUNTED_BYTES:
        return RowsHeld(sink.count(table.name))
    return RowsHeld(table.rows, exact=False)


def told(held: RowsHeld | None, rows: int) -> tuple[str, ...]:
    """What the report says of a replace."""
    return (f"replaced {held} by {rows:,}",) if held and held.rows else ()


def commit(writer: Writer, receipt: Receipt, plan: TablePlan, sink: Sink) -> None:
    """Make the partition durable. Without a journal its one transaction swaps the table, too."""
    if plan.journal is None:
        rows_replaced(plan, receipt.rows, sink)
    writer.commit(receipt)
