"""What `verify` found, shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from arrowsync.core.check import Difference, Status, TableCheck
from arrowsync.display import Shown
from arrowsync.display.document import Document, Grid, Heading, Notes, Section, Text, Tone, Toned, grid, parts
from arrowsync.display.formatting import count, noun

_TONES: dict[Status, Tone] = {"equal": "good", "different": "bad", "missing": "bad", "not comparable": "warn"}


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Shown):
    """The tables compared. `equal` when every one is."""

    source: str
    target: str
    tables: tuple[TableCheck, ...]

    @property
    def equal(self) -> bool:
        return self.status == "equal"

    @property
    def status(self) -> Literal["equal", "different", "not comparable"]:
        """A difference weighs more than what could not be compared."""
        found = {table.status for table in self.tables}
        if found & {"different", "missing"}:
            return "different"
        return "not comparable" if "not comparable" in found else "equal"

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """The verification as JSON values; fingerprints as "rows:hash"."""
        return {
            "status": self.status,
            "source": self.source,
            "target": self.target,
            "tables": [_table_dict(table) for table in self.tables],
        }

    def document(self) -> Document:
        reasons = tuple(Toned(f"{t.table}: {t.reason}", _TONES[t.status]) for t in self.tables if t.reason)
        examples = (_examples(table) for table in self.tables)
        return Document(
            self._title(), parts([_grid(self.tables), Notes(reasons) if reasons else None, *examples])
        )

    def _title(self) -> Toned:
        tables = noun(len(self.tables), "table")
        if self.equal:
            return Toned(f"equal: {tables}, every value compared", "good")
        count = Counter(table.status for table in self.tables)
        differing, unknown = count["different"] + count["missing"], count["not comparable"]
        if not differing:
            return Toned(f"not comparable: {unknown} of {tables}", "warn")
        further = f", {unknown} could not be compared" if unknown else ""
        return Toned(f"different: {differing} of {tables}{further}", "bad")


def _table_dict(table: TableCheck) -> dict[str, Any]:  # Any: JSON
    return {
        "table": table.table,
        "target_table": table.target_table,
        "status": table.status,
        "reason": table.reason or None,
        "equal": table.equal,
        "rows_source": table.source and table.source.rows,
        "rows_target": table.target and table.target.rows,
        "fingerprint_source": table.source and str(table.source),
        "fingerprint_target": table.target and str(table.target),
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
    verdict = Toned(table.status, _TONES[table.status])
    if table.source is None or table.target is None:
        return table.table, verdict, "", "", "", "", ""
    numbers = (table.missing, table.extra, table.different, table.source.rows, table.target.rows)
    return table.table, verdict, *map(count, numbers)


def _examples(table: TableCheck) -> Section | None:
    if not table.examples:
        return None
    headings = (Heading("row"), Heading("key"), Heading("columns"))
    shown = grid(headings, map(_example, table.examples))
    return Section(f"{table.table}: the first differing rows", (shown,), open=True)


def _example(difference: Difference) -> tuple[Text, ...]:
    key = ", ".join(f"{name} = {value}" for name, value in difference.key.items())
    return difference.kind, key, ", ".join(difference.columns)
