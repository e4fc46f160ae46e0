"""Proves a copy: counts, then fingerprints of what the target holds, read back through its own forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from arrowsync.core.check import TableCheck
from arrowsync.core.contracts import LARGEST_READ, Forms, Sink, Source
from arrowsync.core.plan import ColumnPlan, Form, Route, Skipped, Snapshot, Storage, TablePlan
from arrowsync.core.receipts import Fingerprint, Partition, Receipt
from arrowsync.core.table import Column, Table, TableName
from arrowsync.core.transfer import Transfer, Verify
from arrowsync.engine import batches, fingerprint
from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.differences import Differences, Side, find_differences, find_lacking
from arrowsync.engine.odd_tables import concerns_one_table, what
from arrowsync.engine.planner import measured, target_name
from arrowsync.engine.retry import with_next_forms
from arrowsync.engine.table_selection import row_filter
from arrowsync.errors import ArrowsyncError, ConfigError, VerificationError

_INTERVAL = pa.opaque(pa.string(), "interval", "PostgreSQL")
NAMED = 5  # differing rows in an error's one sentence; `arrowsync verify` shows more


class Checked(NamedTuple):
    """What was compared, "count" or "hash", and why that is less than was asked for."""

    verified: str
    warnings: tuple[str, ...] = ()


def check_copy(
    plan: TablePlan,
    receipts: Sequence[Receipt],
    source: Source,
    sink: Sink,
    snapshot: Snapshot,
    cancellation: Cancellation,
) -> Checked:
    """Compare the written table with the rows that were accepted.

    Where rows are added to others, each partition has counted in its transaction what was stored, and the
    rows of the source's keys are compared. Raises VerificationError.
    """
    if plan.write.adds and plan.transfer.verify is not Verify.HASH:
        return Checked("count")
    copied = sum((receipt.fingerprint for receipt in receipts), Fingerprint())
    # Each partition has counted inside its transaction what it stored. What an earlier run committed may have
    # lain open to others for days.
    stored = sink.count(plan.write_table, expected=None if plan.resumes else copied.rows)
    if stored != copied.rows and not plan.write.adds:
        raise VerificationError(f"{copied.rows} rows were copied, but the target holds {stored}")
    if plan.transfer.verify is not Verify.HASH:
        return Checked("count")
    try:
        reading = _write_table(plan, sink)
    except VerificationError as error:  # a cast to another kind of value: the rows are in, and counted
        return Checked("count", (f"verified by count only: {error}",))
    if stored != copied.rows:  # appended to rows that were there before
        return _check_appended(plan, receipts, reading, (source, snapshot), sink, cancellation)
    if not _comparable(plan, receipts):
        if any(receipt.quarantined for receipt in receipts):
            return Checked("count")  # read again, the source's rows would be the bad ones too
        copied = _read(source, _of_one_family(plan), plan.partitions, snapshot, cancellation)
    if (stored_rows := _read_back(reading, sink, cancellation)) != copied:
        seen = "" if stored_rows.shown != copied.shown else ", the same: rows were forged to have it"
        raise VerificationError(
            f"the target's rows differ from the source's: fingerprint {stored_rows}, copied {copied}{seen}",
            hint="arrowsync verify names the differing rows",
        )
    return Checked("hash")


def _check_appended(
    plan: TablePlan,
    receipts: Sequence[Receipt],
    reading: TablePlan,
    source: tuple[Source, Snapshot],
    sink: Sink,
    cancellation: Cancellation,
) -> Checked:
    """Look for the source's rows, by their key, among all the target's. Without a key they stay counted."""
    key = _key(plan)
    if not key:
        lack = "verify hash needs a key to find them among the others (key, --key)"
        return Checked("count", (f"the rows were counted only: {lack}",))
    with sink.snapshot() as there:
        (one, _), (other, _) = (
            with_next_forms(partial(_side, place=place, snapshot=snapshot, cancellation=cancellation), each)
            for each, place, snapshot in ((_of_one_family(plan), *source), (reading, sink, there))
        )
        found = find_lacking(one, other, key, memory=plan.transfer.limits.memory_bytes // 4)
    # A refused row is missing rightly, or it is another row that has its key.
    if found.missing + found.different > sum(receipt.quarantined for receipt in receipts):
        raise _differing(found)
    return Checked("hash")


def _differing(found: Differences) -> VerificationError:
    named = [
        f"{', '.join(f'{name} = {value}' for name, value in each.key.items())} ({each.kind})"
        for each in found.examples[:NAMED]
    ]
    more = ", …" if found.missing + found.different > len(named) else ""
    return VerificationError(
        f"of the source's rows the target lacks {found.missing:,}, and {found.different:,} differ: "
        f"{'; '.join(named)}{more}",
        hint="Look for a trigger or rule of the target; arrowsync verify compares all rows",
    )


def _key(plan: TablePlan) -> list[int]:
    """Where the columns stand that name a row: the given key, else the primary key of either table."""
    ours = {column.source.name: at for at, column in enumerate(plan.columns)}
    theirs = {column.target.name: at for at, column in enumerate(plan.columns)}
    own, other = plan.source.primary_key, plan.target.primary_key
    for names, places in (
        (plan.transfer.key, ours),
        (own.columns if own else (), ours),
        (other.columns if other else (), theirs),
    ):
        if names and places.keys() >= set(names):
            return [places[name] for name in names]
    return []


def check_cover(plan: TablePlan, receipts: Sequence[Receipt], source: Source, snapshot: Snapshot) -> None:
    """Compare the rows read with those that the source counts: none may be in no partition, or in two.

    The receipts cannot tell. Raises VerificationError.
    """
    meant = source.rows_meant(plan, snapshot)
    read = sum(receipt.fingerprint.rows + receipt.quarantined for receipt in receipts)
    if meant is not None and read != meant:
        raise VerificationError(
            f"{read} rows were read, but the source counts {meant}",
            hint="Does where choose the same rows each time? Otherwise copy it whole: --no-journal",
        )


def _comparable(plan: TablePlan, receipts: Sequence[Receipt]) -> bool:
    """Whether all fingerprints are of this algorithm and seed, and of what the first forms mean."""
    if any(receipt.algorithm != fingerprint.ALGORITHM for receipt in receipts):
        return False  # a run that another release began
    if plan.resumes and plan.resumes.secret != plan.secret:
        return False  # its seed is lost
    for column in plan.columns:
        falls = max((receipt.fell_back.count(column.source.name) for receipt in receipts), default=0)
        if len({_family(route.form) for route in column.routes[: falls + 1]}) > 1:
            return False
    return True


def _of_one_family(plan: TablePlan) -> TablePlan:
    """The plan without routes whose values would not compare with the first ones'."""
    columns = tuple(
        replace(
            column,
            routes=tuple(
                route for route in column.routes if _family(route.form) == _family(column.route.form)
            ),
        )
        for column in plan.columns
    )
    return replace(plan, columns=columns)


def _family(form: Form) -> str:
    return fingerprint.canonical_kind(form.arrow).family


def _alike(one: Form, other: Form) -> bool:
    """Whether equal values come in equal bits: what two types of one name are made of may differ.

    A text alone, in a column of texts or in a file, is compared with any type's.
    """
    alike = one.signature == other.signature or not (one.signature and other.signature)
    return alike and _family(one) == _family(other)


def _incomparable(ours: Column, theirs: Column) -> VerificationError:
    alike = "Both are called so, but made of other parts: compare their texts with SQL"
    return VerificationError(
        f"{ours.type} cannot be compared with {theirs.type}",
        column=ours.name,
        hint=alike if ours.type == theirs.type else None,
    )


def _read_back(reading: TablePlan, sink: Sink, cancellation: Cancellation) -> Fingerprint:
    """The fingerprint of the written table."""
    with sink.snapshot() as snapshot:
        partitions = sink.partitions(reading.source, target_bytes=reading.transfer.limits.partition_size)
        return _read(sink, reading, partitions, snapshot, cancellation)


def _write_table(plan: TablePlan, sink: Sink) -> TablePlan:
    """A plan that reads the written table back. Raises VerificationError where it cannot be compared."""
    write_table = measured(sink, sink.describe([plan.write_table])[0])
    pairs = [(column, write_table.column(column.target.name)) for column in plan.columns]
    return _reading(plan, write_table, sink.forms(write_table), pairs)


def _reading(
    plan: TablePlan, table: Table, forms: Forms, pairs: Sequence[tuple[ColumnPlan, Column]]
) -> TablePlan:
    """A plan that reads the table's columns in forms that compare with those of the plan's columns."""
    columns = []
    for column, other in pairs:
        ways = _ways(forms[other.name], [column.route.form])
        same = [form for form in ways if _alike(form, column.route.form)]
        if not same:
            raise _incomparable(column.source, other)
        routes = tuple(Route(form, Storage(form.arrow)) for form in same)
        columns.append(ColumnPlan(other, other, routes, first=column.compared_as))
    return TablePlan(replace(plan.transfer, query=None), table, table, tuple(columns), secret=plan.secret)


def _ways(forms: Sequence[Form], others: Sequence[Form]) -> Sequence[Form]:
    """The forms; beside intervals and durations a text, too, is the interval that it spells."""
    if all(_family(form) != fingerprint.canonical_kind(_INTERVAL).family for form in others):
        return forms
    return (*forms, *(replace(form, arrow=_INTERVAL) for form in forms if form.arrow == pa.string()))


def _read(
    source: Source,
    plan: TablePlan,
    partitions: Sequence[Partition],
    snapshot: Snapshot,
    cancellation: Cancellation,
) -> Fingerprint:
    """The fingerprint of the partitions, each column in the first of its forms that carries the values."""

    def read(plan: TablePlan) -> Fingerprint:
        total = Fingerprint()
        for batch in _batches(source, plan, partitions, snapshot, cancellation):
            total += fingerprint.of_rows(batches.decode(batch, plan.columns), plan)
        return total

    return with_next_forms(read, plan)


def _batches(
    source: Source,
    plan: TablePlan,
    partitions: Sequence[Partition],
    snapshot: Snapshot,
    cancellation: Cancellation,
) -> Iterator[pa.RecordBatch]:
    for partition in partitions:
        with (
            source.open_reader(plan, partition, snapshot, batch_bytes=LARGEST_READ) as reader,
            cancellation.calling(reader.cancel),
        ):
            for batch in reader:
                cancellation.check()
                yield batch


# -- two tables that are there already ---------------------------------------------------------------------


def compare_tables(
    transfer: Transfer, tables: Sequence[Table], source: Source, sink: Sink, cancellation: Cancellation
) -> list[TableCheck]:
    """Compare each source table with its copy, each side in one snapshot; what one lacks stops no other.

    Raises ConfigError for what was asked wrongly.
    """
    with source.snapshot() as here, sink.snapshot() as there:
        comparison = _Comparison(transfer, (source, here), (sink, there), cancellation)
        return [comparison.outcome(table, alone=len(tables) == 1) for table in tables]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Both sides, as all tables see them."""

    transfer: Transfer
    source: tuple[Source, Snapshot]
    sink: tuple[Sink, Snapshot]
    cancellation: Cancellation

    def outcome(self, ours: Table, *, alone: bool) -> TableCheck:
        try:
            name = target_name(self.transfer, ours, self.source[0], self.sink[0])
        except ConfigError as error:  # there is no such schema
            if alone:
                raise
            return TableCheck(str(ours.name), "", "missing", error.message)
        try:
            return self._compared(ours, name)
        except ArrowsyncError as error:
            if isinstance(error, Cancelled) or not concerns_one_table(error):
                raise
            reason = Skipped(ours.name, what(error), error.hint).sentence
            return TableCheck(str(ours.name), str(name), "not comparable", reason)

    def _compared(self, ours: Table, name: TableName) -> TableCheck:
        theirs = self.sink[0].find(name)
        if theirs is None:
            return TableCheck(str(ours.name), str(name), "missing", f"the target has no table {name}")
        if lacking := _lacking(self.transfer, ours, theirs):
            return TableCheck(str(ours.name), str(name), "different", f"the target has no {lacking}")
        return self._compare(
            measured(self.source[0], ours, row_filter(self.transfer)), measured(self.sink[0], theirs)
        )

    def _compare(self, ours: Table, theirs: Table) -> TableCheck:
        readings = _pair(self.transfer, ours, theirs, self.source[0].forms(ours), self.sink[0].forms(theirs))
        (one, found_here), (other, found_there) = (
            with_next_forms(
                partial(_side, place=place, snapshot=snapshot, cancellation=self.cancellation), reading
            )
            for reading, (place, snapshot) in zip(readings, (self.source, self.sink), strict=True)
        )
        key = _key(readings[0])
        check = TableCheck(
            str(ours.name),
            str(theirs.name),
            "equal" if found_here == found_there else "different",
            source=found_here.shown,
            target=found_there.shown,
            key=tuple(ours.columns[at].name for at in key),
        )
        if check.equal:
            return check
        found = find_differences(one, other, key, memory=self.transfer.limits.memory_bytes // 4)
        return replace(
            check,
            missing=found.missing,
            extra=found.extra,
            different=found.different,
            examples=found.examples,
        )


def _lacking(transfer: Transfer, ours: Table, theirs: Table) -> str:
    """The columns that only the source has."""
    there = {column.name.casefold() for column in theirs.columns}
    names = [transfer.rename.get(column.name, column.name) for column in ours.columns]
    lacking = [name for name in names if name.casefold() not in there]
    return (
        f"{'column' if len(lacking) == 1 else 'columns'} {', '.join(map(repr, lacking))}" if lacking else ""
    )


def _side(
    plan: TablePlan, *, place: Source, snapshot: Snapshot, cancellation: Cancellation
) -> tuple[Side, Fingerprint]:
    """The table as something to read again, in the forms that carried its values, and its fingerprint."""

    def read() -> Iterator[pa.RecordBatch]:
        return _batches(place, plan, (Partition(0),), snapshot, cancellation)

    total = Fingerprint()
    for batch in read():
        total += fingerprint.of_rows(batches.decode(batch, plan.columns), plan)
    return Side(plan, read, total.rows), total


def _pair(
    transfer: Transfer, ours: Table, theirs: Table, forms: Forms, other_forms: Forms
) -> tuple[TablePlan, TablePlan]:
    """Plans that read both tables column by column in forms that compare."""
    columns, pairs = [], []
    for column in ours.columns:
        other = _same_column(theirs, transfer.rename.get(column.name, column.name))
        mine, others = forms[column.name], other_forms[other.name]
        routes = [
            Route(form, Storage(form.arrow))
            for form in _ways(mine, others)
            if any(_alike(form, other_form) for other_form in _ways(others, mine))
        ]
        if not routes:
            raise _incomparable(column, other)
        best = [route for route in routes if _family(route.form) == _family(routes[0].form)]
        columns.append(ColumnPlan(column, column, tuple(best)))
        pairs.append((columns[-1], other))
    reading = TablePlan(transfer, ours, ours, tuple(columns), where=row_filter(transfer))
    return reading, _reading(reading, theirs, other_forms, pairs)


def _same_column(table: Table, name: str) -> Column:
    same = [column for column in table.columns if column.name.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else table.column(name)
