"""How wide a table's rows are, found without reading them: SQLite's driver reads a fixed number of rows.

Pages tell the widest row, and rows that share pages are as wide as the page's share. Where rows overflow
their pages, octet_length() looks at headers alone. Views and queries have no pages: they are run once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow.compute as pc

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Table, Widths
from arrowsync.core.units import KiB, MiB
from arrowsync.dialects.sqlite.catalog import file_bytes, rowid_name
from arrowsync.dialects.sqlite.reading import BATCH_ROWS, octets, relation
from arrowsync.dialects.sqlite.sql import quote, text_literal
from arrowsync.errors import ArrowsyncError

MATTERS = 4 * MiB  # a smaller file may come as one batch
NAMED = 1 * MiB  # from this width on a row may be too wide: it is looked up by its key
CELL_BYTES = 14  # beside a row's payload: its rowid and length, varints, and a pointer
ALIKE = 3  # times the mean: reading narrow rows as if they were so wide costs nothing yet
BOUNDS = tuple(KiB << shift for shift in range(0, 16, 2))  # 1 KiB to 16 MiB


def measure(connection: Connection, table: Table, where: str | None) -> Widths | None:
    if table.kind == "table":
        if file_bytes(connection) <= MATTERS:
            return None
        if (shares := _shares(connection, table)) is not None:
            return shares
    return _measured(connection, table, where)


def _shares(connection: Connection, table: Table) -> Widths | None:
    """From the pages that hold the rows; None where a row overflows its page, or no pages are its own."""
    pages = f"dbstat where schema = 'main' and name = {text_literal(table.name.name)}"
    try:
        [(page_bytes,)] = connection.rows("pragma page_size")
        # 45 ns a row, a read takes 1,200.
        totals = connection.rows(f"select ncell, payload, mx_payload from {pages} and aggregate = true")
        if not totals:
            return None  # a virtual table
        rows, nbytes, widest = totals[0]
        if 0 < widest <= page_bytes and widest * rows <= ALIKE * nbytes:
            return Widths(((widest + CELL_BYTES, rows),))
        return _shared(connection, pages, page_bytes)
    except ArrowsyncError:  # a driver whose SQLite was built without dbstat
        return None


def _shared(connection: Connection, pages: str, page_bytes: int) -> Widths | None:
    """From the number of rows on each page: 65 ns a row."""
    rows: Counter[int] = Counter()
    query = f"select ncell, pagetype = 'overflow' from {pages} and (ncell > 0 or pagetype = 'overflow')"
    with connection.stream(query, {BATCH_ROWS: "4096"}) as batches:
        for batch in batches:
            if pc.max(batch.column(1)).as_py():
                return None
            for counted in pc.value_counts(batch.column(0)).to_pylist():
                rows[counted["values"]] += counted["values"] * counted["counts"]
    return Widths(tuple((-(-page_bytes // cells), rows[cells]) for cells in sorted(rows)))


def _measured(connection: Connection, table: Table, where: str | None) -> Widths:
    rows = f"from {relation(table)}" + (f" where ({where}\n)" if where else "")
    counts = ", ".join(f"count(*) filter (where width > {bound})" for bound in (-1, *BOUNDS))
    # LIMIT keeps SQLite from computing the width anew for every count.
    [(widest, *wider)] = connection.rows(
        f"select max(width), {counts} from (select {octets(table)} as width {rows} limit -1)"
    )
    return Widths(
        tuple(_classes(widest or 0, wider)),
        _name(connection, table, rows, widest) if (widest or 0) > NAMED else None,
    )


def _classes(widest: int, wider: Sequence[int]) -> list[tuple[int, int]]:
    """From how many rows are wider than each bound, and than nothing."""
    counts = [more - fewer for more, fewer in zip(wider, [*wider[1:], 0], strict=True)]
    bounds = [min(bound, widest) for bound in (*BOUNDS, widest)]
    return [(bound, count) for bound, count in zip(bounds, counts, strict=True) if count][::-1]


def _name(connection: Connection, table: Table, rows: str, widest: int) -> str | None:
    """The widest row as people call it: by its key, else its rowid; None in views and queries."""
    key = table.primary_key.columns if table.primary_key else ()
    named = [(name, quote(name)) for name in key]
    if not named and (rowid := rowid_name(connection, table)) is not None:
        named = [("rowid", rowid)]
    if not named:
        return None
    parts = " || ', ' || ".join(
        f"{text_literal(f'{name} = ')} || substr(quote({column}), 1, 100)" for name, column in named
    )
    condition = f"{'and' if ' where ' in rows else 'where'} {octets(table)} >= {widest}"
    return str(connection.rows(f"select {parts} {rows} {condition} limit 1")[0][0])
