"""What a report shows."""

from __future__ import annotations

from arrowsync.core.units import format_bytes
from arrowsync.display.document import (
    Document,
    Facts,
    Grid,
    Heading,
    Notes,
    Text,
    Tone,
    Toned,
    facts,
    grid,
    parts,
)
from arrowsync.display.formatting import bytes_rate, count, duration, noun, rate, rows_rate
from arrowsync.report.values import Failure, Outcome, Report, Status, TableReport

TONES: dict[Status, Tone] = {"complete": "good", "partial": "warn", "skipped": "warn", "failed": "bad"}


def report_document(report: Report) -> Document:
    """One table's report as facts; of several, a line each."""
    only = report.tables[0] if len(report.tables) == 1 else None
    return Document(
        Toned(report.headline(), TONES[report.status]),
        parts([_facts(report, only), None if only else _grid(report.tables), _notes(report)]),
    )


def _facts(report: Report, only: TableReport | None) -> Facts:
    identity = f"{report.transfer}, started {report.started_at:%Y-%m-%d %H:%M:%S %Z}"
    return facts(
        ("source", f"{report.source}  {only.table if only else ''}".strip()),
        ("target", f"{report.target}  {only.target_table if only else ''}".strip()),
        ("mode", report.mode),
        ("speed", _speed(report)),
        ("resumed", _resumed(report)),
        ("partitions", _some(report.partitions)),
        ("batches", _batches(report)),
        ("memory", f"{format_bytes(report.peak_memory)} at most" if report.peak_memory else None),
        ("pauses", _some(report.pauses)),
        ("retries", _some(report.retries)),
        ("timeouts", _some(report.timeouts)),
        ("source query", f"{duration(report.longest_source_query_seconds)} at most" * bool(report.batches)),
        ("verified", _verified(report)),
        ("fingerprint", str(report.fingerprint or "")),
        ("quarantine", "\n".join(report.quarantine)),
        ("transfer", Toned(identity, "dim") if report.transfer else None),
    )


def _some(number: int) -> str | None:
    return count(number) if number else None


def _speed(outcome: Outcome) -> str | None:
    if not outcome.batches:
        return None
    return f"{rows_rate(outcome.rows_per_second)}, {bytes_rate(outcome.bytes_per_second)}"


def _resumed(report: Report) -> str | None:
    if not report.partitions_resumed:
        return None
    partitions = noun(report.partitions_resumed, "partition")
    return f"{noun(report.rows_resumed, 'row')} in {partitions} were there from an earlier run"


def _batches(report: Report) -> str | None:
    if not report.batches:
        return None
    low, high = count(report.batch_rows_min or 0), count(report.batch_rows_max or 0)
    rows = low if low == high else f"{low} to {high}"
    return f"{count(report.batches)} of {rows} rows, {duration(report.batch_seconds_mean or 0)} each"


def _verified(outcome: Outcome) -> Text:
    match outcome.verified:
        case "hash":
            return Toned("counts and fingerprints are equal", "good")
        case "count":
            return "counts are equal"
    return Toned("no", "dim")


def _grid(tables: tuple[TableReport, ...]) -> Grid:
    headings = (
        Heading("table"),
        Heading("rows", right=True),
        Heading("quarantined", right=True),
        Heading("seconds", right=True, optional=True),
        Heading("rows/s", right=True, optional=True),
        Heading("bytes/s", right=True, optional=True),
        Heading("memory", right=True, optional=True),
        Heading("verified", optional=True),
        Heading("status"),
    )
    return grid(headings, map(_row, tables))


def _row(table: TableReport) -> tuple[Text, ...]:
    status = Toned(table.status, TONES[table.status])
    if table.status == "skipped":
        return (table.table, *[""] * 7, status)
    return (
        table.table,
        count(table.rows_written),
        Toned(count(table.rows_quarantined), "warn") if table.rows_quarantined else "",
        f"{table.seconds:.3g}",
        rate(table.rows_per_second),
        bytes_rate(table.bytes_per_second),
        format_bytes(table.peak_memory),
        table.verified or Toned("no", "dim"),
        status,
    )


def _notes(report: Report) -> Notes:
    warnings = [Toned(text, "warn") for text in report.warnings]
    if report.quarantine:
        refused = noun(report.rows_quarantined, "row")
        warnings.append(Toned(f"{refused} refused by the target, kept with reasons in quarantine", "warn"))
    return Notes((*warnings, *(Toned(_sentence(failure), "bad") for failure in report.errors)))


def _sentence(failure: Failure) -> str:
    return f"{failure}\n{failure.hint}" if failure.hint else str(failure)
