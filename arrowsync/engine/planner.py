"""Makes plans of a transfer: which tables, which columns by which routes, which statements and partitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from uuid import uuid4

from arrowsync.core.contracts import Sink, Source
from arrowsync.core.plan import Partition, Skipped, TablePlan, Unfinished
from arrowsync.core.table import ForeignKey, Table, TableName, find_table, left_behind, match_tables
from arrowsync.core.transfer import OFFERED, Transfer, WriteMode
from arrowsync.core.units import MiB
from arrowsync.engine.designs import can_start_over, designed, refuse_losses, types
from arrowsync.engine.narrowing import narrowed
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.pipes import connected_pipes
from arrowsync.errors import ConfigError, ResumeError, SchemaError

SMALLEST_SHARE = 16 * MiB  # of a worker: with less, opening connections would cost more than sharing saves


def make_plans(
    transfer: Transfer, source: Source, sink: Sink, *, presume: bool = False
) -> tuple[list[TablePlan], tuple[Skipped, ...]]:
    """Plan every table of the transfer. Writes nothing. Raises ConfigError, SchemaError or ResumeError.

    Tables that cannot be copied are skipped, unless they were asked for by name. With `presume` a sample is
    enough for types that the copy can prove.
    """
    if transfer.mode not in OFFERED:
        raise ConfigError(f"there is no mode {transfer.mode} yet", hint=f"There are {', '.join(OFFERED)}")
    connected_pipes(transfer.limits.max_connections, source, sink)  # raises where they are too few
    if transfer.schema_only:
        _check_schema_only(transfer, sink)
    tables, odd = find_tables(transfer, source)
    planned = _planned(transfer, in_reference_order(tables), source, sink, odd, presume=presume)
    _refuse_collisions(planned, sink)
    plans = _readable_views(_stated(sink.apart(planned), sink, odd), sink, odd)
    skipped = odd.skipped()
    refuse_losses(plans)
    return plans, skipped


def _planned(
    transfer: Transfer, tables: list[Table], source: Source, sink: Sink, odd: OddTables, *, presume: bool
) -> list[TablePlan]:
    """The plans of the tables that can be copied, without foreign keys to those that cannot."""
    names = {} if sink.adds_references else {t.name: target_name(transfer, t, sink) for t in tables}
    plans: dict[TableName, TablePlan] = {}
    is_source = cache(lambda: sink.is_source(source))  # to find out may take connections to both
    waiting = list(enumerate(tables))
    while waiting:
        copied = {sink.folded(target) for name, target in names.items() if name not in odd.errors}
        known = set(odd.errors)
        for number, table in waiting:
            with odd.set_aside(table.name):
                plans[table.name] = _plan(
                    transfer, table, number, source, sink, copied, is_source, presume=presume
                )
        lost = names.keys() & (odd.errors.keys() - known)
        waiting = [each for each in enumerate(tables) if each[1].name in plans and _needs(each[1]) & lost]
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
    for view in (plan.source for plan in plans if not plan.columns):
        lost = sorted(str(name) for name in _needs(view) & odd.errors.keys() if sink.find(name) is None)
        if lost:
            odd.errors[view.name] = SchemaError(f"it reads {', '.join(lost)}, which cannot be copied")
    return [plan for plan in plans if plan.source.name not in odd.errors]


def measured(source: Source, table: Table, where: str | None = None) -> Table:
    """The table with its rows' widths. Raises ConfigError where these cannot be read, or for a bad where."""
    source.check_reading(table, where)
    return replace(table, widths=source.widths(table, where))


def find_tables(transfer: Transfer, source: Source) -> tuple[list[Table], OddTables]:
    """The tables that the transfer means, with only the wanted columns, and those that cannot be described.

    Raises ConfigError.
    """
    found, odd = _tables(transfer, source)
    tables = []
    for table in found:
        with odd.set_aside(table.name):
            tables.append(narrowed(table, transfer))
    _check_used(transfer, tables)
    return tables, odd


def _tables(transfer: Transfer, source: Source) -> tuple[list[Table], OddTables]:
    if source.is_one_table:
        only = _only_table(transfer, source)
        return [only], OddTables(named=[only.name])
    if transfer.query is not None:
        if not transfer.target_table:
            raise ConfigError(
                "a query needs the name of its target", hint="Give target_table (--target-table)"
            )
        rows = source.describe_query(TableName.parse(transfer.target_table), transfer.query)
        return [rows], OddTables(named=[rows.name])
    names = source.names(views=transfer.views)
    if transfer.tables or transfer.patterns:
        named = [find_table(wanted, source.names(views=True)) for wanted in transfer.tables]
        chosen = list(named)
        if transfer.patterns:
            chosen += [name for name in match_tables(transfer.patterns, names) if name not in chosen]
    else:
        named, chosen = [], names
    if transfer.target_table and len(chosen) != 1:
        raise ConfigError(f"one target table for {len(chosen)} tables", hint="Name one source table")
    odd = OddTables(named)
    # A view is meant as a table of its rows where it is named.
    return [replace(t, view=None) if t.name in named else t for t in odd.describe(source, chosen)], odd


def _only_table(transfer: Transfer, source: Source) -> Table:
    """The table of a source that has no others. The transfer's `tables` are the target's name then."""
    for what, given in (("where", transfer.where), ("query", transfer.query)):
        if given is not None:
            raise ConfigError(
                f"{what}: {source} knows no SQL",
                hint="Select the rows with DuckDB or polars, and copy that frame",
            )
    if len(transfer.tables) > 1 or transfer.patterns:
        raise ConfigError(f"{source} is one table", hint="--table gives it a name in the target")
    return source.describe(source.names())[0]


def _check_used(transfer: Transfer, tables: Sequence[Table]) -> None:
    """A rename, cast or key of a column that no table has is a slip of the pen."""
    for what, names in (("rename", transfer.rename), ("cast", transfer.cast), ("key", transfer.key)):
        for name in names:
            if not any(name == column.name for table in tables for column in table.columns):
                if len(tables) == 1:
                    tables[0].column(name)
                raise ConfigError(f"{what}: no table has a column {name!r}")


def in_reference_order(tables: Sequence[Table]) -> list[Table]:
    """Tables after those that their foreign keys name, views after what they read.

    A cycle keeps the order that was given.
    """
    waiting, ordered = sorted(tables, key=lambda table: table.view is not None), []
    while waiting:
        names = {table.name for table in waiting}
        ready = [table for table in waiting if not _needs(table) & (names - {table.name})]
        for table in ready or waiting[:1]:
            ordered.append(table)
            waiting.remove(table)
    return ordered


def _needs(table: Table) -> set[TableName]:
    return {key.references for key in table.foreign_keys}.union(table.view.reads if table.view else ())


def _check_schema_only(transfer: Transfer, sink: Sink) -> None:
    if sink.is_one_table:
        raise ConfigError(
            f"schema_only: {sink} has no schema without rows", hint="Leave schema_only (--schema-only) out"
        )
    if transfer.mode is WriteMode.APPEND:
        raise ConfigError("schema_only: mode append only adds rows", hint="Modes are create and replace")


def _plan(
    transfer: Transfer,
    table: Table,
    number: int,
    source: Source,
    sink: Sink,
    copied: set[TableName],
    is_source: Callable[[], bool],
    *,
    presume: bool,
) -> TablePlan:
    name = target_name(transfer, table, sink)
    if table.kind != "query" and sink.locate(table.name) == name and is_source():
        raise ConfigError("source and target are the same table", hint="Name another with --target-table")
    if source.server is None and sink.writers is not None and is_source():
        # SQLite: the snapshot that is read would keep the writer from committing, until it gives up.
        raise ConfigError(
            "a file cannot be read and written at once",
            hint="Within one file SQL does it: create table … as select …; or copy by way of another file",
        )
    existing = sink.find(name)
    if table.view and name == table.name and (statements := sink.view(table, transfer)):
        return _plan_view(transfer, table, number, existing, statements)
    journal = sink.journal_for(name, transfer.journal) if transfer.journal is not None else None
    found = sink.unfinished(name, journal) if journal is not None else []
    resumes = _resumed(transfer, name, found)
    discards = tuple(each for each in found if each is not resumes)
    if any(each.made_landing and each.landing != "other" for each in found if _landing(each) == name):
        existing = None  # an earlier run has made it: this one goes on with it, or drops it
    if resumes is None and not any(_emptied(each) for each in discards):
        _check_mode(transfer, name, existing, sink)
    if not transfer.schema_only:
        table = measured(source, table, transfer.where)
    made = existing is None or transfer.mode is WriteMode.REPLACE
    dangling = _dangling(table, copied, sink) if made and not sink.adds_references else []
    table = replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key not in dangling))
    presumable = presume and made and not found and can_start_over(transfer, sink)
    target, columns, presumed = designed(
        transfer, table, source, sink, existing.name if existing else name, existing, presume=presumable
    )
    if resumes and resumes.state.get("presumed") not in (None, types(columns)):
        discards, resumes = (*discards, resumes), None
    plan = TablePlan(
        transfer,
        table,
        target,
        columns,
        resumes.partitions if resumes else cut(transfer, table, source),
        exists=resumes.state["exists"] if resumes else existing is not None,
        number=number,
        resumes=resumes,
        journal=journal,
        run=resumes.run if resumes else uuid4().hex,
        discards=discards,
        warnings=(
            *(_given_up(each, sink) for each in discards if each.receipts),
            *_of_view(transfer, table),
            *table.remarks,
            *(f"column {column.name!r} {column.remark}" for column in table.columns if column.remark),
            *(_left_out(key) for key in dangling),
        ),
        presumed=presumed,
    )
    if resumes and resumes.secret is not None:
        plan = replace(plan, secret=resumes.secret)
    if resumes is None and plan.exists and plan.landing == plan.target.name and plan.refers_to_itself:
        # One ingest, whose end is when the database looks for the rows that others refer to.
        plan = replace(plan, partitions=plan.partitions and (Partition(0),))
    return plan


def _plan_view(
    transfer: Transfer, view: Table, number: int, existing: Table | None, statements: tuple[str, ...]
) -> TablePlan:
    """One transaction makes the view: there is nothing to copy, and nothing to resume."""
    if existing is not None:
        raise ConfigError(
            f"the target has a {existing.kind} {view.name}",
            hint=f"Drop it first, or leave it out with the patterns '*', '!{view.name.name}'",
        )
    warnings = tuple(left_behind(view.attached))
    return TablePlan(transfer, view, view, (), (), before=statements, number=number, warnings=warnings)


def _of_view(transfer: Transfer, table: Table) -> tuple[str, ...]:
    asked = transfer.views and table.kind == "view"
    return ("it is a view; its copy is a table of its rows",) if asked else ()


def _dangling(table: Table, copied: set[TableName], sink: Sink) -> list[ForeignKey]:
    """Keys to tables that are neither copied nor there: SQLite takes such a key, and then no row."""
    others = {key.references: sink.locate(key.references) for key in table.foreign_keys}
    missing = {
        name
        for name, there in others.items()
        if name != table.name and sink.folded(there) not in copied and sink.find(there) is None
    }
    return [key for key in table.foreign_keys if key.references in missing]


def _left_out(key: ForeignKey) -> str:
    what = f"foreign key {key.name!r}" if key.name else f"the foreign key of {', '.join(key.columns)}"
    return f"{what} is left out: there is no table {key.references.name}"


def _landing(unfinished: Unfinished) -> TableName:
    return TableName(*unfinished.state["landing"])


def _emptied(discarded: Unfinished) -> bool:
    """Whether giving it up empties a table that is not of its making."""
    mode = discarded.request["mode"]
    return not discarded.made_landing and discarded.landing != "other" and mode != WriteMode.APPEND


def _given_up(unfinished: Unfinished, sink: Sink) -> str:
    """What the report says about an unfinished run that is not resumed."""
    rows = sum(receipt.rows for receipt in unfinished.receipts)
    if unfinished.landing == "kept":
        # A part of a folder can be told from the rows before it, and is taken back.
        stay = unfinished.request["mode"] == WriteMode.APPEND and not sink.is_one_table
        kept = "stay in the table" if stay else "are copied again"
        return f"started over: the {rows:,} rows of an unfinished run {kept}"
    return "started over: the target table is not what an unfinished run left"


def cut(transfer: Transfer, table: Table, source: Source) -> tuple[Partition, ...]:
    if transfer.schema_only:
        return ()
    if transfer.journal is None:
        return (Partition(0),)  # without receipts the table is one transaction
    size = even_share(transfer.limits.partition_size, table.bytes or 0, transfer.worker_count)
    return tuple(source.partitions(table, target_bytes=size))


def even_share(size: int, nbytes: int, workers: int) -> int:
    """The bytes of a partition, at most `size`, such that the workers of a table of `nbytes` end together.

    Of lineitem's seven partitions two workers copied the last with half the machine asleep.
    """
    turns = math.ceil(nbytes / (size * workers))
    share = math.ceil(nbytes / max(1, turns * workers))
    return share if share >= min(size, SMALLEST_SHARE) else size


def _resumed(transfer: Transfer, name: TableName, found: Sequence[Unfinished]) -> Unfinished | None:
    """What an earlier run of this very transfer has left, if this one goes on there.

    Raises ResumeError for what another transfer has left, or where neither going on nor over is safe.
    """
    if transfer.restart or not found:
        return None
    for other in found:
        if other.transfer != transfer.id and other.receipts and not _is_lost(other):
            raise _different(transfer, name, other)
    mine = next((each for each in found if each.transfer == transfer.id), None)
    if mine is None:
        return None  # the others have written nothing yet
    if mine.landing == "kept":
        return mine
    if mine.landing == "changed" and transfer.mode is WriteMode.APPEND:
        raise ResumeError(
            f"rows of an unfinished run may be missing from {name}: it was rewritten or lost rows since",
            hint="Remove what that run has added, then start over with restart (--restart)",
        )
    return None


def _is_lost(unfinished: Unfinished) -> bool:
    """Whether nobody can go on with it, and giving it up takes nothing away: no frame comes twice."""
    return str(unfinished.request["source"]).startswith("frame:") and unfinished.made_landing


def _different(transfer: Transfer, name: TableName, other: Unfinished) -> ResumeError:
    asked = transfer.identity()
    differing = [key for key, value in other.request.items() if value != asked.get(key)]
    return ResumeError(
        f"an unfinished transfer into {name} differs in "
        + ", ".join(f"{key} ({other.request[key]!r}, now {asked.get(key)!r})" for key in differing),
        hint="Finish it with the same arguments as then, or give it up with restart (--restart)",
    )


def target_name(transfer: Transfer, table: Table, sink: Sink) -> TableName:
    """What the table is called in the target."""
    wanted = transfer.target_table
    if wanted is None and transfer.tables and table.kind in ("file", "frame"):
        wanted = transfer.tables[0]
    if wanted is None and table.kind == "frame" and not sink.is_one_table:
        raise ConfigError("a frame has no name for its table", hint="Give it one: table=")
    return sink.locate(TableName.parse(wanted) if wanted else table.name)


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
        other = taken.setdefault(sink.folded(plan.target.name), plan.source.name)
        if other != plan.source.name:
            raise ConfigError(
                f"{other} and {plan.source.name} would both become {plan.target.name}",
                hint="Copy them one by one: --table with --target-table, or another place for each",
            )
