"""Makes plans of a transfer: which tables, which columns by which routes, which statements and partitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from uuid import uuid4

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import TablePlan, TransferPlan
from arrowsync.core.receipts import Partition, Phase, Unfinished
from arrowsync.core.table import ForeignKey, Table, TableName, left_behind
from arrowsync.core.transfer import Transfer, WriteMode
from arrowsync.core.units import MiB
from arrowsync.engine.concurrency import concurrency_of_connections
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.resume import Decision, Earlier, empties, finished_plan, given_up
from arrowsync.engine.table_selection import find_tables, in_reference_order, needs
from arrowsync.engine.type_sampling import can_start_over, designed, refuse_losses, types
from arrowsync.errors import ConfigError, SchemaError

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
            measured(source, table, transfer.where)
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
    if transfer.mode is WriteMode.APPEND:
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
        name = self.earlier.target(table.name, target_name(self.transfer, table, self.source, self.sink))
        self._check_places(table, name)
        decision = self.earlier.decide(table.name, name, self.sink)
        if decision.resumes and decision.resumes.phase is Phase.PUBLISHED:
            finished = finished_plan(self.transfer, decision.resumes, table, name)
            return replace(finished, journal=self._journal(name, decision.resumes))
        plan = self._view_or_rows(table, name, decision)
        noted = plan.resumes or decision.waiting
        return replace(
            plan,
            number=self._number(table.name, number),
            journal=self._journal(name, noted),
            run=noted.run if noted else uuid4().hex,
        )

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

    def _view_or_rows(self, table: Table, name: TableName, decision: Decision) -> TablePlan:
        existing = self._existing(name, decision)
        if table.view and name == table.name and (statements := self.sink.view(table, self.transfer)):
            _check_view(table, existing)
            warnings = tuple(left_behind(table.dependents))
            plan = TablePlan(self.transfer, table, table, (), (), before=statements, warnings=warnings)
            return replace(plan, resumes=decision.resumes, discards=decision.discards)
        return self._rows(table, name, decision, existing)

    def _number(self, source: TableName, number: int) -> int:
        """The table's number in its transfer, which names what is made for it while it is copied."""
        if not self.earlier.goes_on:
            return number
        return int(self.earlier.mine[source].state.get("number", number))

    def _existing(self, name: TableName, decision: Decision) -> Table | None:
        """The target table, unless an earlier run has made it: this one goes on with it, or drops it."""
        left = (*decision.discards, *([decision.resumes] if decision.resumes else ()))
        made = any(
            each.has_write_table
            and each.made_write_table
            and each.write_table_state != "other"
            and each.write_table_name == name
            for each in left
        )
        return None if made else self.sink.find(name)

    def _rows(self, table: Table, name: TableName, decision: Decision, existing: Table | None) -> TablePlan:
        transfer, source, sink = self.transfer, self.source, self.sink
        resumes, discards = decision.resumes, decision.discards
        if resumes is None and not any(map(empties, discards)):
            _check_mode(transfer, name, existing, sink)
        if not transfer.schema_only:
            table = measured(source, table, transfer.where)
        made = existing is None or transfer.mode is WriteMode.REPLACE
        dangling = (
            _dangling(table, self.copied, sink) if made and not sink.capabilities.adds_foreign_keys else []
        )
        table = replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key not in dangling))
        fresh = resumes is None and not discards
        presumable = self.sample_types and made and fresh and can_start_over(transfer, sink)
        target, columns, sampled = designed(
            transfer,
            table,
            source,
            sink,
            existing.name if existing else name,
            existing,
            sample_types=presumable,
        )
        if resumes and resumes.state.get("presumed") not in (None, types(columns)):
            discards, resumes = (*discards, resumes), None
        plan = TablePlan(
            transfer,
            table,
            target,
            columns,
            resumes.partitions if resumes else cut(transfer, table, source, sink),
            exists=resumes.state["exists"] if resumes else existing is not None,
            resumes=resumes,
            discards=discards,
            warnings=(
                *(given_up(each, sink) for each in discards if each.rows),
                *_remarks(transfer, table),
                *(_left_out(key) for key in dangling),
            ),
            sampled=sampled,
        )
        if resumes and resumes.secret is not None:
            plan = replace(plan, secret=resumes.secret)
        if resumes is None and plan.exists and plan.write_table == plan.target.name and plan.refers_to_itself:
            # One ingest, whose end is when the database looks for the rows that others refer to.
            plan = replace(plan, partitions=plan.partitions and (Partition(0),))
        return plan

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


def _dangling(table: Table, copied: Collection[TableName], sink: Sink) -> list[ForeignKey]:
    """Keys to tables that are neither copied nor there: SQLite takes such a key, and then no row."""
    others = {key.references: sink.resolve_name(key.references) for key in table.foreign_keys}
    missing = {
        name
        for name, there in others.items()
        if name != table.name and sink.normalize_name(there) not in copied and sink.find(there) is None
    }
    return [key for key in table.foreign_keys if key.references in missing]


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


def _check_mode(transfer: Transfer, name: TableName, existing: Table | None, sink: Sink) -> None:
    if existing is None:
        if transfer.mode is WriteMode.APPEND:
            raise ConfigError(f"the target has no table {name}", hint="mode create makes it")
        return
    if existing.kind not in ("table", "file"):
        raise ConfigError(
            f"the target's {name} is a {existing.kind}", hint="--target-table names another table"
        )
    if transfer.mode is WriteMode.CREATE and not sink.is_empty(existing.name):
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
