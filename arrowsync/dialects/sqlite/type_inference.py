"""What the columns of users' tables hold, and the forms to read them in: values decide, names are hints.

Any SQLite column holds values of any storage class. A summary of the whole table finds which; a dry run of
the very query that would read a date, decimal, boolean, uuid or JSON shows whether every value is one. Of a
large table a sample is enough where the copy, which reads all rows anyway, can prove what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa

from arrowsync.core.contracts import Connection, Forms
from arrowsync.core.plan import Form
from arrowsync.core.table import Column, Table
from arrowsync.core.units import MiB
from arrowsync.dialects.sqlite.catalog import (
    REFRESH,
    first_rows,
    listed,
    one_row,
    rowid_bounds,
    rowid_name,
    rows_all_over,
)
from arrowsync.dialects.sqlite.read_types import affinity, other_than_text, stored
from arrowsync.dialects.sqlite.reading import BATCH_ROWS, batch_rows, query, relation, unpinned
from arrowsync.dialects.sqlite.sql import quote
from arrowsync.dialects.sqlite.type_candidates import ValueSummary, candidates_for, is_big, natives, of_column
from arrowsync.errors import Refused

SAMPLE_ROWS = 1_000
PLACES = 8  # of so many rows each, from the first to the last: 40 ms for 16 columns
READERS = 2  # at once: half the wait on two cores; each costs a connection and a batch
ROWS_FOR_TWO = 100_000
ROWS_TO_SAMPLE = 100_000  # their summary takes 0.1 s, no more than what a wrong sample costs
DRY_RUN_BYTES = 2 * MiB  # a batch: planning comes out of the same memory as the copy
COLUMNS_AT_ONCE = 300  # five counts each; SQLite returns at most 2,000 columns
_STRICT = {"INT": "integer", "INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}


def forms(connection: Connection, table: Table) -> Forms:
    """Per column the ways to read it: ours are known by their declared type, people's by their values."""
    connection.run(REFRESH)
    ours = {c.name: _back(c) for c in table.columns if _is_ours(c)}
    user_tables = [column for column in table.columns if column.name not in ours]
    chosen, counted = _choose(connection, table, user_tables) if user_tables else ({}, {})
    forms = ours | _kept(connection, user_tables, chosen, counted)
    return {column.name: forms[column.name] for column in table.columns}


def sampled(connection: Connection, table: Table) -> Forms | None:
    """See Source.sampled.

    A form refuses whatever would have given its column another type. Not so those of columns without values:
    columns that are empty in the sample are counted as `forms` would.
    """
    connection.run(REFRESH)
    if table.kind != "table" or (table.rows or 0) < ROWS_TO_SAMPLE or any(map(_is_ours, table.columns)):
        return None
    rowid = rowid_name(connection, table)
    bounds = rowid_bounds(connection, table, rowid) if rowid else None
    if rowid is None or bounds is None:
        return None
    sample = rows_all_over(table, rowid, bounds, SAMPLE_ROWS, PLACES)
    return _kept(connection, table.columns, *_sampled(connection, table, sample))


def _is_ours(column: Column) -> bool:
    return column.origin.dialect == "postgresql"


def _kept(
    connection: Connection, columns: Sequence[Column], chosen: Candidates, counted: Mapping[str, ValueSummary]
) -> dict[str, tuple[Form, ...]]:
    """Of a column's candidates the first and the one that holds for all it has, and SQLite's own values."""
    # A UTF-16 file's hex digits are not those of UTF-8, which the tagged form is.
    tagged = connection.rows("pragma encoding")[0][0] == "UTF-8"
    return {
        column.name: (
            *(found if len(found := chosen[column.name]) == 1 else (found[0], found[-1])),
            *natives(column, counted[column.name], tagged=tagged),
        )
        for column in columns
    }


def _back(column: Column) -> tuple[Form, ...]:
    return tuple(of_column(form, column.name) for form in stored(column.origin.name).gives)


# -- the choice --------------------------------------------------------------------------------------------

Candidates = dict[str, tuple[Form, ...]]  # per column; the last holds for every value of its summary


def _choose(
    connection: Connection, table: Table, columns: Sequence[Column]
) -> tuple[Candidates, dict[str, ValueSummary]]:
    """The candidates that are left for each column when the first carries every value of the table.

    A guess from the first rows; then one cheap question whether any row contradicts it, and a dry run where
    a form is stricter than the summary. Only what fails is counted over all rows.
    """
    source = relation(table)
    rows = batch_rows(table, len(columns), DRY_RUN_BYTES)
    known = _sure(connection, table, columns)
    if table.kind != "table":  # a query is run as seldom as can be
        known |= _count(connection, [c for c in columns if c.name not in known], source)
        return _tried(connection, source, rows, _all_candidates(columns, known)), known
    sample = first_rows(table, SAMPLE_ROWS)
    guess = _count(connection, [c for c in columns if c.name not in known], sample) | known
    left = _tried(connection, sample, rows, _all_candidates(columns, guess))
    doubtful = [c for c in columns if c.name not in known and len(left[c.name]) == 1]
    halves = _halves(connection, table)
    contradicted, *failing = _together(
        connection,
        lambda on: _contradicted(on, source, doubtful, guess),
        *(partial(_failing, source=half, rows=rows, candidates=left) for half in halves),
    )
    failed = set[str]().union(*failing)
    if contradicted:
        known |= _count(connection, doubtful, source)
        others = _all_candidates(doubtful, known)
        left |= others
        failed |= _failing(connection, source, rows, others)
    while failed:
        uncounted = [c for c in columns if c.name in failed and c.name not in known]
        known |= _count(connection, uncounted, source)
        left |= {name: left[name][1:] for name in failed} | {
            name: tuple(form for form in forms if form != left[name][0])
            for name, forms in _all_candidates(uncounted, known).items()
        }
        failed = _failing(connection, source, rows, left)
    return left, guess | known


def _sampled(connection: Connection, table: Table, sample: str) -> tuple[Candidates, dict[str, ValueSummary]]:
    """As _choose, by a sample; but of columns that are empty there by all rows."""
    source, rows = relation(table), batch_rows(table, len(table.columns), DRY_RUN_BYTES)
    known = _sure(connection, table, table.columns)
    known |= _count(connection, [c for c in table.columns if c.name not in known], sample)
    empty = [column for column in table.columns if not known[column.name].classes]
    known |= _count(connection, empty, source)
    candidates = _all_candidates(table.columns, known)
    left = _tried(connection, sample, rows, candidates)
    return left | _tried(connection, source, rows, {c.name: candidates[c.name] for c in empty}), known


def _halves(connection: Connection, table: Table) -> list[str]:
    """Relations that hold the table's rows together, for as many readers as are worth their start."""
    rowid = rowid_name(connection, table) if (table.rows or 0) >= ROWS_FOR_TWO else None
    bounds = rowid_bounds(connection, table, rowid) if rowid else None
    if bounds is None:
        return [relation(table)]
    middle = sum(bounds) // 2
    return [f"(select * from {relation(table)} where {rowid} {side} {middle})" for side in ("<=", ">")]


def _together(connection: Connection, *questions: Callable[[Connection], Any]) -> list[Any]:  # Any: answers
    """Their answers. More than two are asked at once, each over a connection of its own.

    The driver frees the GIL: of lineitem's 6 M rows the answers took 2.4 s on two cores, instead of 4.2.
    """
    if len(questions) <= READERS:
        return [question(connection) for question in questions]

    def ask(question: Callable[[Connection], Any]) -> Any:
        with connection.another() as own:
            own.run(REFRESH)
            return question(own)

    with ThreadPoolExecutor(READERS, thread_name_prefix="arrowsync-summary") as pool:
        return list(pool.map(ask, questions))


def _all_candidates(columns: Sequence[Column], counted: Mapping[str, ValueSummary]) -> Candidates:
    return {column.name: tuple(candidates_for(column, counted[column.name])) for column in columns}


def _tried(connection: Connection, source: str, rows: int, candidates: Candidates) -> Candidates:
    """Drop first candidates until those that stand carry the source; the last needs no trial."""
    left = dict(candidates)
    while failed := _failing(connection, source, rows, left):
        left |= {name: left[name][1:] for name in failed}
    return left


def _failing(connection: Connection, source: str, rows: int, candidates: Candidates) -> set[str]:
    """The columns whose first candidate does not carry the rows, as far as reading got."""
    named = [(name, forms[0]) for name, forms in candidates.items() if len(forms) > 1]
    failed: set[str] = set()
    if not named:
        return failed
    try:
        with connection.stream(query(named, source), {BATCH_ROWS: str(rows)}) as batches:
            for batch in unpinned(batches, named):
                for array, (name, form) in zip(batch.columns, named, strict=True):
                    if name not in failed and not _carries(form, array):
                        failed.add(name)
                if len(failed) == len(named):
                    break
    except Refused as refused:
        failed.add(refused.column or named[0][0])
    return failed


def _carries(form: Form, array: pa.Array) -> bool:
    try:
        if form.decode:
            form.decode(array)
    except (Refused, pa.ArrowInvalid):
        return False
    return True


# -- the summary of values -----------------------------------------------------------------------------------


def _sure(connection: Connection, table: Table, columns: Sequence[Column]) -> dict[str, ValueSummary]:
    """What the table's own rules allow: STRICT types, and integers in a rowid's alias."""
    strict = any(entry.strict and entry.name == table.name.name for entry in listed(connection))
    found = {column.name: ValueSummary(frozenset(["integer"])) for column in columns if column.identity}
    if strict and table.kind == "table":
        found |= {
            c.name: ValueSummary(frozenset([_STRICT[c.type.upper()]]))
            for c in columns
            if c.type.upper() in _STRICT
        }
    return found


def _contradicted(
    connection: Connection, source: str, columns: Sequence[Column], guess: Mapping[str, ValueSummary]
) -> bool:
    """Whether any row holds what the guess does not; ends at the first."""
    if not columns:
        return False
    whens = " ".join(f"when {_contradicts(c, guess[c.name])} then 1" for c in columns)
    return bool(connection.rows(f"select 1 from {source} where case {whens} else 0 end limit 1"))


def _contradicts(column: Column, guess: ValueSummary) -> str:
    """A condition on a value outside the guess; comparisons cost 15 – 20 ns, typeof() 30 – 45."""
    name, own = quote(column.name), affinity(column.type)
    held = guess.classes
    if not held:
        return f"{name} is not null"
    if held == {"integer"} and own == "INTEGER":  # a text that looks like a number cannot be there
        return f"{name} collate binary <> cast({name} as integer)"
    if held == {"text"}:
        return other_than_text(own).replace("{}", name)
    if held == {"real"} and own == "REAL":
        return f"{name} collate binary >= ''"
    allowed = ", ".join(f"'{kind}'" for kind in ("null", *sorted(held)))
    big = f" or {is_big(name)}" if held >= {"integer", "real"} and not guess.big else ""
    return f"typeof({name}) not in ({allowed}){big}"


def _count(connection: Connection, columns: Sequence[Column], source: str) -> dict[str, ValueSummary]:
    counted: dict[str, ValueSummary] = {}
    classes = ("integer", "real", "text", "blob")
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        some = columns[start : start + COLUMNS_AT_ONCE]
        names = [quote(column.name) for column in some]
        found = [f"max(typeof({name}) = '{kind}'), " for name in names for kind in classes]
        big = ", ".join(f"max({is_big(name)})" for name in names)
        row = one_row(connection, f"select {''.join(found)}{big} from {source}")
        for at, column in enumerate(some):
            held = frozenset(
                kind for kind, seen in zip(classes, row[4 * at : 4 * at + 4], strict=True) if seen
            )
            counted[column.name] = ValueSummary(held, bool(row[4 * len(some) + at]))
    return counted
