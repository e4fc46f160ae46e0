"""Makes plans of a transfer: which tables, which columns by which routes, which statements and partitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from uuid import uuid4

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import ColumnPlan, TablePlan, TransferPlan
from arrowsync.core.receipts import Leftover, Partition, Unfinished
from arrowsync.core.table import ForeignKey, Table, TableName, left_behind
from arrowsync.core.transfer import Transfer
from arrowsync.core.units import MiB
from arrowsync.core.write_modes import Write, decide
from arrowsync.engine.concurrency import concurrency_of_connections
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.resume import Decision, Earlier, empties, finished_plan, given_up
from arrowsync.engine.table_selection import find_tables, in_reference_order, needs, row_filter
from arrowsync.engine.type_sampling import can_start_over, designed, refuse_losses, types
from arrowsync.errors import ConfigError, SchemaError, TableUnusable

SMALLEST_SHARE = 16 * MiB  # of a worker: with less, opening connections would cost more than sharing saves


def make_plans(transfer: Transfer, source: Source, sink: Sink, *, sample_types: bool = False) -> TransferPlan:
    """Plan every table of the transfer. Writes nothing. Raises ConfigError, SchemaError or ResumeError.

    Tables that cannot be copied are skipped, unless they were asked for by name. With `sample_types` a sample
    is enough for types that the copy can prove.
    """
    concurrency_of_connections(transfer.limits.max_connections, source, sink)  # raises where they are too few
    if transfer.schema_only:
        _check_schema_only(transfer, sink)
    found, odd = find_tables(transfer, source)
    earlier = Earlier.of(transfer, [target_name(transfer, table, source, sink) for table in found], sink)
    tables = in_reference_order(earlier.chosen(found, odd.errors))
    later = _readable(earlier.later(found), transfer, source, odd)
    planned = [*_planned(transfer, tables, source, sink, earlier, odd, sample_types=sample_types)]
    planned += [_of_finished(transfer, each, odd) for each in earlier.vanished(found)]
    _refuse_collisions(planned, sink)
    plans = _readable_views(_stated(sink.reserve_names(planned), sink, odd), sink, odd)
    skipped = odd.skipped()
    refuse_losses(plans)
    return TransferPlan(tuple(plans), skipped, earlier.found, tuple(earlier.warnings(later, _now())))


def _readable(tables: Sequence[Table], transfer: Transfer, source: Source, odd: OddTables) -> list[TableName]:
    """The names without those that would be skipped, which an earlier run has skipped, too."""
    for table in tables:
        with odd.set_aside(table.name):
            measured(source, table, row_filter(transfer))
    return [table.name for table in tables if table.name not in odd.errors]


def _now() -> str:
    """As View notes when a snapshot was taken, which is right after planning."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _of_finished(transfer: Transfer, finished: Unfinished, odd: OddTables) -> TablePlan:
    """The plan of a finished table that the source does not show any more, or not to us: its copy stays."""
    if finished.source is not None:
        odd.errors.pop(finished.source, None)
    return finished_plan(transfer, finished, None, finished.place)


def _planned(
    transfer: Transfer,
    tables: list[Table],
    source: Source,
    sink: Sink,
    earlier: Earlier,
    odd: OddTables,
    *,
    sample_types: bool,
) -> list[TablePlan]:
    """The plans of the tables that can be copied, without foreign keys to those that cannot."""
    names = (
        {}
        if sink.capabilities.adds_foreign_keys
        else {t.name: target_name(transfer, t, source, sink) for t in tables}
    )
    plans: dict[TableName, TablePlan] = {}
    is_source = cache(lambda: sink.is_source(source))  # to find out may take connections to both
    waiting = list(enumerate(tables))
    while waiting:
        copied = {sink.normalize_name(target) for name, target in names.items() if name not in odd.errors}
        planning = _Planning(transfer, source, sink, earlier, copied, is_source, sample_types)
        known = set(odd.errors)
        for number, table in waiting:
            with odd.set_aside(table.name):
                plans[table.name] = planning.plan(table, number)
        lost = names.keys() & (odd.errors.keys() - known)
        waiting = [each for each in enumerate(tables) if each[1].name in plans and needs(each[1]) & lost]
    return [plan for name, plan in plans.items() if name not in odd.errors]


def _stated(plans: Sequence[TablePlan], sink: Sink, odd: OddTables) -> list[TablePlan]:
    """The plans with their statements, which a view has already."""
    stated = []
    for plan in plans:
        with odd.set_aside(plan.source.name):
            stated.append(sink.statements(plan) if plan.columns else plan)
    return stated


def _readable_views(plans: Sequence[TablePlan], sink: Sink, odd: OddTables) -> list[TablePlan]:
    """The plans without the views that read what is skipped; a view comes after what it reads."""
    for view in (plan.source for plan in plans if plan.source.view):
        lost = sorted(str(name) for name in needs(view) & odd.errors.keys() if sink.find(name) is None)
        if lost:
            odd.errors[view.name] = SchemaError(f"it reads {', '.join(lost)}, which cannot be copied")
    return [plan for plan in plans if plan.source.name not in odd.errors]


def measured(source: Source, table: Table, where: str | None = None) -> Table:
    """The table with its rows' widths. Raises ConfigError where these cannot be read, or for a bad where."""
    source.check_reading(table, where)
    return replace(table, widths=source.widths(table, where))


def _check_schema_only(transfer: Transfer, sink: Sink) -> None:
    if sink.capabilities.one_table:
        raise ConfigError(
            f"schema_only: {sink} has no schema without rows", hint="Leave schema_only (--schema-only) out"
        )
    if decide(transfer.mode, exists=False).adds:
        raise ConfigError("schema_only: mode append only adds rows", hint="Modes are create and replace")


@dataclass(frozen=True, slots=True)
class _Planning:
    """One transfer's planning, table by table, and what all tables need for it."""

    transfer: Transfer
    source: Source
    sink: Sink
    earlier: Earlier
    copied: Collection[TableName]
    is_source: Callable[[], bool]  # whether source and target are one place; asked only where it matters
    sample_types: bool

    def plan(self, table: Table, number: int) -> TablePlan:
        """Where the table goes, what earlier runs have left of it, how it is written, and its columns."""
        name = self.earlier.target(table.name, target_name(self.transfer, table, self.source, self.sink))
        self._check_places(table, name)
        decision = self.earlier.decide(table.name, name, self.sink)
        if finished := decision.finished:
            plan = finished_plan(self.transfer, finished, table, name)
            return replace(plan, journal=self._journal(name, finished))
        existing = self._existing(name, decision)
        write = decide(self.transfer.mode, exists=existing is not None)
        plan = self._view(table, name, existing, write) or self._rows(table, name, existing, write, decision)
        plan = self._with_earlier(plan, decision)
        return self._noted(plan, plan.resumes or decision.waiting, number)

    def _check_places(self, table: Table, name: TableName) -> None:
        """Raises ConfigError where source and target are in each other's way."""
        same = _called_there(table.name, self.source, self.sink)
        if table.kind != "query" and self.sink.resolve_name(same) == name and self.is_source():
            raise ConfigError("source and target are the same table", hint="Name another with --target-table")
        if self.source.server is None and self.sink.capabilities.writers is not None and self.is_source():
            # SQLite: the snapshot that is read would keep the writer from committing, until it gives up.
            raise ConfigError(
                "a file cannot be read and written at once",
                hint="Within one file SQL does it: create table … as select …; or copy to another file first",
            )

    def _existing(self, name: TableName, decision: Decision) -> Table | None:
        """The target table, unless an earlier run has made it: this one goes on with it, or drops it."""
        left = (*decision.discards, *([decision.resumes] if decision.resumes else ()))
        made = any(
            each.leftover is Leftover.TABLE
            and each.write_table_state != "other"
            and each.write_table_name == name
            for each in left
        )
        return None if made else self.sink.find(name)

    def _view(self, table: Table, name: TableName, existing: Table | None, write: Write) -> TablePlan | None:
        """The plan of a view that is made as a view; None where its rows are copied, as a table's are."""
        if not table.view or name != table.name or write.adds:
            return None
        if not (statements := self.sink.view(table, self.transfer)):
            return None
        _check_view(table, existing)
        write, warnings = replace(write, before=statements), tuple(left_behind(table.dependents))
        return TablePlan(self.transfer, table, table, (), (), write=write, warnings=warnings)

    def _rows(
        self, table: Table, name: TableName, existing: Table | None, write: Write, decision: Decision
    ) -> TablePlan:
        """The plan of a table that is begun now."""
        if decision.resumes is None and not any(map(empties, decision.discards)):
            _check_mode(name, existing, write, self.sink)
        if not self.transfer.schema_only:
            table = measured(self.source, table, row_filter(self.transfer))
        dangling = self._dangling(table) if write.makes_table else []
        table = replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key not in dangling))
        target, columns, sampled = self._columns(table, name, existing, write, decision)
        if not columns:
            raise TableUnusable("the target computes all its columns: there is nothing to copy")
        return TablePlan(
            self.transfer,
            table,
            target,
            columns,
            write=write,
            where=row_filter(self.transfer),
            warnings=(*_remarks(self.transfer, table), *map(_left_out, dangling)),
            sampled=sampled,
        )

    def _dangling(self, table: Table) -> list[ForeignKey]:
        """Keys to tables that are neither copied nor there: SQLite takes such a key, and then no row."""
        if self.sink.capabilities.adds_foreign_keys:
            return []
        others = {key.references: self.sink.resolve_name(key.references) for key in table.foreign_keys}
        missing = {
            name
            for name, there in others.items()
            if name != table.name
            and self.sink.normalize_name(there) not in self.copied
            and self.sink.find(there) is None
        }
        return [key for key in table.foreign_keys if key.references in missing]

    def _columns(
        self, table: Table, name: TableName, existing: Table | None, write: Write, decision: Decision
    ) -> tuple[Table, tuple[ColumnPlan, ...], bool]:
        """The target table, its columns' routes, and whether their types are sampled."""
        is_fresh = decision.resumes is None and not decision.discards
        may_sample = write.makes_table and is_fresh and can_start_over(self.transfer, self.sink)
        return designed(
            self.transfer,
            table,
            self.source,
            self.sink,
            existing.name if existing else name,
            None if write.makes_table else existing,
            existing if write.makes_table else None,
            sample_types=self.sample_types and may_sample,
        )

    def _with_earlier(self, plan: TablePlan, decision: Decision) -> TablePlan:
        """The plan as it goes on with an earlier run, or with partitions of its own where it begins."""
        decision = decision.for_types(types(plan.columns))
        warnings = tuple(given_up(each, self.sink) for each in decision.discards if each.rows)
        plan = replace(plan, discards=decision.discards, warnings=(*warnings, *plan.warnings))
        if (resumes := decision.resumes) is None:
            return replace(plan, partitions=self._partitions(plan))
        write = replace(plan.write, exists=resumes.write.exists)
        secret = plan.secret if resumes.secret is None else resumes.secret
        return replace(plan, resumes=resumes, partitions=resumes.partitions, write=write, secret=secret)

    def _partitions(self, plan: TablePlan) -> tuple[Partition, ...]:
        if plan.write.before:
            return ()  # a view, which its statements make
        partitions = cut(self.transfer, plan.source, self.source, self.sink)
        if partitions and plan.refers_to_itself and not plan.write.makes_table:
            # One ingest, whose end is when the database looks for the rows that others refer to.
            return (Partition(0),)
        return partitions

    def _noted(self, plan: TablePlan, noted: Unfinished | None, number: int) -> TablePlan:
        """The plan with what the journal knows it by; `number` is the table's, unless it is noted there."""
        if self.earlier.goes_on:
            number = int(self.earlier.mine[plan.source.name].state.get("number", number))
        run = noted.run if noted else uuid4().hex
        return replace(plan, number=number, journal=self._journal(plan.target.name, noted), run=run)

    def _journal(self, name: TableName, noted: Unfinished | None) -> tuple[TableName, TableName] | None:
        """Where it is noted already: rights that were granted since make another place of a new journal."""
        if self.transfer.journal is None:
            return None
        return (noted and noted.journal) or self.sink.journal_for(name, self.transfer.journal)


def _check_view(view: Table, existing: Table | None) -> None:
    if existing is not None:
        raise ConfigError(
            f"the target has a {existing.kind} {view.name}",
            hint=f"Drop it first, or leave it out with the patterns '*', '!{view.name.name}'",
        )


def _remarks(transfer: Transfer, table: Table) -> Iterator[str]:
    """What is to be said of the source's table."""
    if transfer.views and table.kind == "view":
        yield "it is a view; its copy is a table of its rows"
    yield from table.remarks
    yield from (f"column {column.name!r} {column.remark}" for column in table.columns if column.remark)


def _left_out(key: ForeignKey) -> str:
    what = f"foreign key {key.name!r}" if key.name else f"the foreign key of {', '.join(key.columns)}"
    return f"{what} is left out: there is no table {key.references.name}"


def cut(transfer: Transfer, table: Table, source: Source, sink: Sink) -> tuple[Partition, ...]:
    if transfer.schema_only:
        return ()
    if transfer.journal is None:
        return (Partition(0),)  # without receipts the table is one transaction
    size = min(filter(None, (transfer.limits.partition_size, sink.largest_partition(table, transfer))))
    size = even_share(size, table.bytes or 0, transfer.worker_count)
    return tuple(source.partitions(table, target_bytes=size))


def even_share(size: int, nbytes: int, workers: int) -> int:
    """The bytes of a partition, at most `size`, such that the workers of a table of `nbytes` end together.

    Of lineitem's seven partitions two workers copied the last with half the machine asleep.
    """
    turns = math.ceil(nbytes / (size * workers))
    share = math.ceil(nbytes / max(1, turns * workers))
    return share if share >= min(size, SMALLEST_SHARE) else size


def target_name(transfer: Transfer, table: Table, source: Source, sink: Sink) -> TableName:
    """What the table is called in the target."""
    wanted = transfer.target_table
    if wanted is None and transfer.tables and table.kind in ("file", "frame"):
        wanted = transfer.tables[0]
    if wanted is None and table.kind == "frame" and not sink.capabilities.one_table:
        raise ConfigError("a frame has no name for its table", hint="Give it one: table=")
    return sink.resolve_name(TableName.parse(wanted) if wanted else _called_there(table.name, source, sink))


def _called_there(name: TableName, source: Source, sink: Sink) -> TableName:
    """The table's name for the target: a default schema is its own database's, and no part of it."""
    if name.schema is None or (theirs := sink.default_schema()) is None or name.schema == theirs:
        return name
    return replace(name, schema=None) if name.schema == source.default_schema() else name


def _check_mode(name: TableName, existing: Table | None, write: Write, sink: Sink) -> None:
    """Raises ConfigError where the rows cannot be written in that way."""
    if existing is None:
        if write.adds:
            raise ConfigError(f"the target has no table {name}", hint="mode create makes it")
        return
    if existing.kind not in ("table", "file"):
        raise ConfigError(
            f"the target's {name} is a {existing.kind}", hint="--target-table names another table"
        )
    if write.needs_empty and not sink.is_empty(existing.name):
        raise ConfigError(
            f"the target table {name} holds rows",
            hint="mode append adds to them, replace exchanges them; --target-table names another table",
        )


def _refuse_collisions(plans: Sequence[TablePlan], sink: Sink) -> None:
    """Schemas or cases that the target does not have, or its being one table, may give two one name."""
    taken: dict[TableName, TableName] = {}
    for plan in plans:
        other = taken.setdefault(sink.normalize_name(plan.target.name), plan.source.name)
        if other != plan.source.name:
            raise ConfigError(
                f"{other} and {plan.source.name} would both become {plan.target.name}",
                hint="Copy them one by one: --table with --target-table, or another place for each",
            )
