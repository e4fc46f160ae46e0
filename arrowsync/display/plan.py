"""What a plan shows: every column's way with its fidelity, statements, estimates, and what would be lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from arrowsync.core.plan import ColumnPlan, Fidelity, TablePlan, TransferPlan
from arrowsync.core.transfer import BadRows, Transfer
from arrowsync.core.units import format_bytes
from arrowsync.core.write_modes import Write
from arrowsync.display.document import (
    Code,
    Document,
    Facts,
    Grid,
    Heading,
    Notes,
    Section,
    Text,
    Tone,
    Toned,
    facts,
    grid,
    parts,
)
from arrowsync.display.formatting import about, about_rows, count, duration, noun

TONES: dict[Fidelity, Tone] = {Fidelity.EXACT: "good", Fidelity.WIDENED: "warn", Fidelity.LOSSY: "bad"}
# TPC-H lineitem (16 columns, 820 MB as Arrow) takes about 10 s between SQLite and PostgreSQL on two cores.
VALUES_PER_SECOND = 10e6
BYTES_PER_SECOND = 80e6
_BLOCK = re.compile(r"\s*do\s+\$\w*\$", re.IGNORECASE)  # plpgsql: guards, sequences
START_SECONDS = 0.3  # connections, catalogue, publish


def plan_warnings(planned: TransferPlan) -> tuple[str, ...]:
    """What to know before it runs: first of the whole transfer, then of each table."""
    return (
        *planned.warnings,
        *(f"{plan.source.name}: {text}" for plan in planned.tables for text in plan.warnings),
        *map(str, planned.skipped),
    )


def plan_document(transfer: Transfer, planned: TransferPlan) -> Document:
    """Table by table; at the end, where a terminal shows it, the sum and what people have to agree to."""
    plans = planned.tables
    several = len(plans) > 1
    return Document(
        Toned(
            f"plan: {noun(len(plans), 'table')}{_left_out(planned)}, {_estimate(plans)}; "
            "nothing has been written"
        ),
        parts(
            [
                facts(*_asked(transfer)),
                *(_table(plan, is_open=not several) for plan in plans),
                Section("tables", (_sum(plans),), open=True) if several else None,
                _losses(plans),
                Notes(tuple(Toned(text, "warn") for text in plan_warnings(planned))),
            ]
        ),
    )


def _asked(transfer: Transfer) -> Iterator[tuple[str, str]]:
    """What was asked for, and what is not as people know it from other targets."""
    yield from (("source", transfer.source), ("target", transfer.target), ("mode", str(transfer.mode)))
    if transfer.on_bad_rows is BadRows.STOP:
        yield "refused rows", "end the copy"
    if transfer.journal is None:
        yield "receipts", "none: each table is one transaction, and starts over after an interruption"


def estimated_seconds(plans: Sequence[TablePlan]) -> float | None:
    """What the copy may take on a small machine; None while a row count is unknown."""
    moving = [plan for plan in plans if _moves_rows(plan)]
    if any(plan.source.rows is None for plan in moving):
        return None
    values = sum((plan.source.rows or 0) * len(plan.columns) for plan in moving)
    return START_SECONDS + max(values / VALUES_PER_SECOND, _bytes(plans) / BYTES_PER_SECOND)


def _left_out(planned: TransferPlan) -> str:
    finished = sum(plan.is_finished for plan in planned.tables)
    words = [f"{finished} of them copied already"] if finished else []
    words += [f"{len(planned.skipped)} skipped"] if planned.skipped else []
    return "".join(f" and {word}" if word.endswith("skipped") else f", {word}" for word in words)


def _moves_rows(plan: TablePlan) -> bool:
    return bool(plan.partitions) and not plan.is_finished


def _estimate(plans: Sequence[TablePlan]) -> str:
    rows, seconds = _rows(plans), estimated_seconds(plans)
    exact = all(plan.source.rows_exact for plan in plans)
    words = [about_rows(rows, exact=exact)] if rows else []
    words += [format_bytes(_bytes(plans))] if _bytes(plans) else []
    words.append(f"about {duration(round(seconds, 1))}" if seconds else "of unknown duration")
    return ", ".join(words)


def _bytes(plans: Sequence[TablePlan]) -> int:
    return sum(plan.source.bytes or 0 for plan in plans if _moves_rows(plan))


def _rows(plans: Sequence[TablePlan]) -> int:
    return sum(plan.source.rows or 0 for plan in plans if _moves_rows(plan))


def _table(plan: TablePlan, *, is_open: bool) -> Section:
    title = f"{plan.source.name} → {plan.target.name}"
    return Section(title, parts([_facts(plan), _columns(plan), _statements(plan)]), open=is_open)


def _facts(plan: TablePlan) -> Facts:
    rows = about_rows(plan.source.rows, exact=plan.source.rows_exact)
    size = format_bytes(plan.source.bytes) if plan.source.bytes else None
    return facts(
        ("holds", ", ".join(filter(None, (rows, size)))),
        ("partitions", _partitions(plan)),
        ("resumes", _resumed(plan)),
        ("target", _target(plan.write)),
    )


def _target(write: Write) -> str:
    if not write.exists:
        return "will be made"
    if write.replaces:
        return "is there; a new table takes its place"
    return "is there; rows are added" if write.adds else "is there, without rows"


def _resumed(plan: TablePlan) -> str | None:
    if plan.resumes is None or not plan.resumes.receipts:
        return None
    if plan.is_finished:
        return f"{noun(plan.resumes.rows, 'row')}: an earlier run has finished it"
    return f"{noun(len(plan.resumes.receipts), 'partition')} are there already"


def _partitions(plan: TablePlan) -> str:
    if not plan.partitions:
        return "none: no row is copied"
    by = plan.partitions[0].by
    cut = "" if len(plan.partitions) == 1 else f" by {plan.partitions[0].column if by == 'key' else by}"
    return f"{count(len(plan.partitions))}{cut}"


def _columns(plan: TablePlan) -> Grid:
    headings = (
        Heading("column"),
        Heading("source type"),
        Heading("target type"),
        Heading("fidelity"),
        Heading("because", optional=True),
        Heading("travels as", optional=True),
    )
    return grid(headings, map(_column, plan.columns))


def _column(column: ColumnPlan) -> tuple[Text, ...]:
    name, target, route = column.source.name, column.target.name, column.route
    travels = dict.fromkeys(map(_arrow, (route.form.read, route.form.arrow, route.storage.arrow)))
    return (
        name if name == target else f"{name} → {target}",
        column.source.type or "(none)",
        column.target.type,
        Toned(str(route.fidelity), TONES[route.fidelity]),
        route.reason,
        Toned(" → ".join(travels), "dim"),
    )


def _arrow(type_: pa.DataType) -> str:
    if isinstance(type_, pa.OpaqueType):
        return f"{type_.type_name} in {str(type_.storage_type).partition('<')[0]}"
    if isinstance(type_, pa.BaseExtensionType):
        return str(type_.extension_name).removeprefix("arrow.")
    return str(type_)


def _statements(plan: TablePlan) -> Code:
    after = ("-- when all rows are in", *map(_statement, plan.write.after)) if plan.write.after else ()
    return Code("\n".join((*map(_statement, plan.write.before), *after)))


def _statement(sql: str) -> str:
    if _BLOCK.match(sql):
        return "do $$ … $$; -- a block of plpgsql; --json shows it"
    return sql.strip().rstrip(";") + ";"


def _sum(plans: Sequence[TablePlan]) -> Grid:
    headings = (
        Heading("table"),
        Heading("target", optional=True),
        Heading("rows", right=True),
        Heading("size", right=True, optional=True),
        Heading("partitions", right=True, optional=True),
        Heading("columns", right=True),
        Heading("fidelity"),
    )
    return grid(headings, map(_sum_row, plans))


def _sum_row(plan: TablePlan) -> tuple[Text, ...]:
    found = Counter(column.route.fidelity for column in plan.columns)
    worst = max(found, key=list(Fidelity).index, default=Fidelity.EXACT)
    return (
        str(plan.source.name),
        str(plan.target.name),
        about(plan.source.rows, exact=plan.source.rows_exact),
        format_bytes(plan.source.bytes) if plan.source.bytes else "?",
        count(len(plan.partitions)),
        count(len(plan.columns)),
        Toned(
            ", ".join(f"{found[kind]} {kind}" for kind in Fidelity if found[kind]) or _without_columns(plan),
            TONES[worst],
        ),
    )


def _without_columns(plan: TablePlan) -> str:
    return "copied already" if plan.is_finished else "a view"


def _losses(plans: Sequence[TablePlan]) -> Notes:
    """A line per column that is not exact, the lossy ones last; one that says so where all are."""
    lines = [
        Toned(f"{plan.source.name}.{column.source.name} is {kind}: {column.route.reason}", tone)
        for kind, tone in TONES.items()
        for plan in plans
        for column in plan.columns
        if column.route.fidelity is kind and kind is not Fidelity.EXACT
    ]
    return Notes(tuple(lines) or (Toned("every value arrives exactly as it is", "good"),))


def plan_dict(transfer: Transfer, planned: TransferPlan) -> dict[str, Any]:  # Any: JSON
    """The same as JSON values."""
    plans = planned.tables
    return {
        "transfer": transfer.id,
        "source": transfer.source,
        "target": transfer.target,
        "mode": str(transfer.mode),
        "on_bad_rows": str(transfer.on_bad_rows or BadRows.QUARANTINE),
        "estimated_rows": _rows(plans),
        "estimated_bytes": _bytes(plans),
        "estimated_seconds": estimated_seconds(plans),
        "warnings": list(plan_warnings(planned)),
        "tables": [_table_dict(plan) for plan in plans],
        "skipped": [
            {"table": str(each.table), "reason": each.reason, "hint": each.hint} for each in planned.skipped
        ],
    }


def _table_dict(plan: TablePlan) -> dict[str, Any]:  # Any: JSON
    return {
        "table": str(plan.source.name),
        "target_table": str(plan.target.name),
        "target_exists": plan.write.exists,
        "estimated_rows": plan.source.rows,
        "estimated_bytes": plan.source.bytes,
        "columns": [_column_dict(column) for column in plan.columns],
        "statements": [*plan.write.before, *plan.write.after],
        "partitions": [asdict(partition) for partition in plan.partitions],
        "partitions_resumed": len(plan.resumes.receipts) if plan.resumes else 0,
        "warnings": list(plan.warnings),
    }


def _column_dict(column: ColumnPlan) -> dict[str, Any]:  # Any: JSON
    return {
        "name": column.source.name,
        "target_name": column.target.name,
        "source_type": column.source.type,
        "target_type": column.target.type,
        "fidelity": str(column.route.fidelity),
        "reason": column.route.reason,
        "arrow_type": _arrow(column.route.form.arrow),
    }
