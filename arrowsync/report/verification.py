"""What `verify` found, shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from arrowsync.core.check import Difference, TableCheck
from arrowsync.display import Shown
from arrowsync.display.figures import count, noun
from arrowsync.display.sheet import Grid, Heading, Section, Sheet, Text, Toned, grid, parts


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Shown):
    """The tables compared. `equal` when every one is."""

    source: str
    target: str
    tables: tuple[TableCheck, ...]

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """The verification as JSON values; fingerprints as "rows:hash"."""
        return {
            "status": "equal" if self.equal else "different",
            "source": self.source,
            "target": self.target,
            "tables": [_table_dict(table) for table in self.tables],
        }

    def sheet(self) -> Sheet:
        differing = [table for table in self.tables if not table.equal]
        title = (
            Toned(f"equal: {noun(len(self.tables), 'table')}, every value compared", "good")
            if self.equal
            else Toned(f"different: {len(differing)} of {noun(len(self.tables), 'table')}", "bad")
        )
        return Sheet(title, parts([_grid(self.tables), *(_examples(table) for table in differing)]))


def _table_dict(table: TableCheck) -> dict[str, Any]:  # Any: JSON
    return {
        "table": table.table,
        "target_table": table.target_table,
        "equal": table.equal,
        "rows_source": table.source.rows,
        "rows_target": table.target.rows,
        "fingerprint_source": str(table.source),
        "fingerprint_target": str(table.target),
        "missing": table.missing,
        "extra": table.extra,
        "different": table.different,
        "key": list(table.key),
        "examples": [
            {"kind": each.kind, "key": dict(each.key), "columns": list(each.columns)}
            for each in table.examples
        ],
    }


def _grid(tables: Iterable[TableCheck]) -> Grid:
    headings = (
        Heading("table"),
        Heading("verdict"),
        Heading("missing", right=True, optional=True),
        Heading("extra", right=True, optional=True),
        Heading("different", right=True, optional=True),
        Heading("rows", right=True, optional=True),
        Heading("rows in target", right=True, optional=True),
    )
    return grid(headings, map(_row, tables))


def _row(table: TableCheck) -> tuple[Text, ...]:
    return (
        table.table,
        Toned("equal", "good") if table.equal else Toned("different", "bad"),
        count(table.missing),
        count(table.extra),
        count(table.different),
        count(table.source.rows),
        count(table.target.rows),
    )


def _examples(table: TableCheck) -> Section | None:
    if not table.examples:
        return None
    headings = (Heading("row"), Heading("key"), Heading("columns"))
    shown = grid(headings, map(_example, table.examples))
    return Section(f"{table.table}: the first differing rows", (shown,), open=True)


def _example(difference: Difference) -> tuple[Text, ...]:
    key = ", ".join(f"{name} = {value}" for name, value in difference.key.items())
    return difference.kind, key, ", ".join(difference.columns)
