"""Report and TableReport: what was copied, how fast, with how much memory, and what went wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

from arrowsync.core.receipts import Fingerprint
from arrowsync.display import Shown
from arrowsync.display.doctor import Checkup
from arrowsync.display.formatting import count, duration, noun
from arrowsync.errors import ArrowsyncError, ConfigError, TransferError, VerificationError, public_name
from arrowsync.report.verification import Verification

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from arrowsync.display.document import Document

RESUMES = "What is committed stays; the same call goes on from there"
# "partial": finished, but rows are in quarantine, keys could not be enforced, or tables were skipped.
# "skipped" is said of a table alone. Better ones first.
Status: TypeAlias = Literal["complete", "partial", "skipped", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


def worst(*statuses: Status) -> Status:
    return max(statuses, key=STATUSES.index, default="complete")


def overall(*tables: Status) -> Status:
    """The status of a transfer by those of its tables."""
    if tables and all(status == "skipped" for status in tables):
        return "failed"
    return worst(*("partial" if status == "skipped" else status for status in tables))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as a report keeps it: `type` is its public class. No password in `message` or `hint`."""

    type: str
    message: str
    table: str | None = None
    partition: int | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: BaseException, *, table: str | None = None) -> Self:
        name = public_name(error)
        if isinstance(error, KeyboardInterrupt):
            return cls(type="KeyboardInterrupt", message="interrupted", table=table, hint=RESUMES)
        if not isinstance(error, ArrowsyncError):
            return cls(type=name, message=str(error) or name, table=table)
        places = [f"column {error.column!r}"] * bool(error.column) + [f"row {error.row}"] * bool(error.row)
        return cls(
            type=name,
            message=error.message + (f" ({', '.join(places)})" if places else ""),
            table=error.table or table,
            partition=error.partition,
            hint=error.hint,
        )

    def __str__(self) -> str:
        place = [f"table {self.table}"] if self.table else []
        if self.partition is not None:
            place.append(f"partition {self.partition}")
        return f"{', '.join(place)}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment of a table's copy, for plots: rows so far, the batch's rows, bytes of memory in use."""

    seconds: float
    rows: int
    batch_rows: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome:
    """What a table's report and a whole transfer's have in common.

    `rows_*` and `partitions` count the whole transfer, what an earlier run had committed included; seconds,
    batches and rates count this run. `batch_rows_min` leaves each partition's last batch out, the remainder.
    `peak_memory` is the process's largest growth in bytes. `verified` is the check passed: "count" or "hash".
    """

    status: Status
    transfer: str
    mode: str
    source: str
    target: str
    started_at: datetime
    rows_read: int = 0
    rows_written: int = 0
    rows_quarantined: int = 0
    rows_resumed: int = 0
    partitions: int = 0
    partitions_resumed: int = 0
    batches: int = 0
    batch_rows_min: int | None = None
    batch_rows_max: int | None = None
    batch_seconds_mean: float | None = None
    seconds: float = 0.0
    rows_per_second: float = 0.0
    bytes_per_second: float = 0.0
    peak_memory: int = 0
    pauses: int = 0
    timeouts: int = 0
    retries: int = 0
    longest_source_query_seconds: float = 0.0
    fingerprint: Fingerprint | None = None
    verified: str | None = None
    quarantine: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[Failure, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.headline()}>"

    def headline(self) -> str:
        """complete: 336,776 rows in 2.1 s"""
        aside = f", {count(self.rows_quarantined)} in quarantine" if self.rows_quarantined else ""
        return f"{self.status}: {noun(self.rows_written, 'row')}{aside} in {duration(self.seconds)}"

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """JSON values under the fields' names; times as ISO 8601, the fingerprint as "rows:hash"."""
        return {field.name: _json(getattr(self, field.name)) for field in fields(self) if field.repr}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TableReport(Outcome):
    """One table's part of a transfer."""

    table: str
    target_table: str
    timeline: tuple[Tick, ...] = field(default=(), repr=False)  # for plot(); left out of to_dict()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Report(Outcome, Shown):
    """What a copy did. Prints itself as text, and as tables in a notebook."""

    tables: tuple[TableReport, ...] = ()

    def __str__(self) -> str:
        return Shown.__str__(self)

    @property
    def skipped(self) -> tuple[TableReport, ...]:
        """The tables that could not be copied and were not asked for by name."""
        return tuple(table for table in self.tables if table.status == "skipped")

    def headline(self) -> str:
        """partial: 336,776 rows in 2.1 s, 2 tables skipped"""
        skipped = f", {noun(len(self.skipped), 'table')} skipped" if self.skipped else ""
        return Outcome.headline(self) + skipped

    def raise_for_status(self) -> None:
        """Raises TransferError, with this report, unless every row arrived and every key is enforced."""
        if self.status == "complete":
            return
        problem = self.errors[0].message if self.errors else "; ".join(self.warnings)
        if not problem or self.rows_quarantined:
            problem = f"{noun(self.rows_quarantined, 'row')} in quarantine: {', '.join(self.quarantine)}"
        error = TransferError(f"{self.status}: {problem}")
        error.report = self
        raise error

    def to_polars(self) -> pl.DataFrame:
        """One row per table, under the fields' names, the table's first; errors as their messages."""
        import polars as pl

        texts = pl.List(pl.String)
        kinds: dict[str, pl.DataType] = {
            "int": pl.Int64(),
            "float": pl.Float64(),
            "datetime": pl.Datetime("us", "UTC"),
            "tuple[str,": texts,
            "tuple[Failure,": texts,
        }
        columns = sorted((f for f in fields(TableReport) if f.repr), key=lambda f: "table" not in f.name)
        schema = {f.name: kinds.get(str(f.type).split()[0], pl.String()) for f in columns}
        rows = [
            table.to_dict() | {"started_at": table.started_at, "errors": list(map(str, table.errors))}
            for table in self.tables
        ]
        return pl.DataFrame(rows, schema=schema)

    def plot(self) -> Figure:
        """Rows a second, rows a batch and memory over time, a line per table. Needs matplotlib."""
        from arrowsync.display.plots import over_time

        return over_time({table.table: table.timeline for table in self.tables})

    def document(self) -> Document:
        from arrowsync.report.documents import report_document

        return report_document(self)


def _json(value: Any) -> Any:  # Any: JSON out, any field of this module in
    match value:
        case datetime():
            return value.isoformat()
        case Fingerprint():
            return str(value)
        case Failure():
            return asdict(value)
        case TableReport():
            return value.to_dict()
        case tuple():
            return [_json(item) for item in value]
    return value


def exit_code(result: object) -> int:
    """What a command ends with, by its report or error; if several codes apply 130, 1, 4, 3."""
    match result:
        case Report(errors=errors, status=status):
            types = {error.type for error in errors}
            if "KeyboardInterrupt" in types:
                return 130
            if status == "failed":
                return 4 if types == {VerificationError.__name__} else 1
            return 3 if status == "partial" else 0
        case Verification(status=status):
            return {"equal": 0, "different": 4, "not comparable": 2}[status]
        case Checkup(usable=usable):
            return 0 if usable else 1
        case TransferError() if hasattr(result, "report"):
            return exit_code(result.report)
        case KeyboardInterrupt():
            return 130
        case ConfigError():
            return 2
        case VerificationError():
            return 4
        case BaseException():
            return 1
    return 0
