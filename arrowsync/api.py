"""The verbs: copy, plan, verify, inspect, status, doctor, stream. Wires the rooms; moves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa

from arrowsync.core.arguments import (
    CopyArguments,
    RowArguments,
    StreamArguments,
    TableNames,
    TablePatterns,
    transfer_arguments,
)
from arrowsync.core.check import TableCheck
from arrowsync.core.contracts import Sink, Source
from arrowsync.core.events import LockAwaited, Observer, tell_each
from arrowsync.core.plan import Skipped, TablePlan, TransferPlan
from arrowsync.core.signatures import explained, takes
from arrowsync.core.table import find_table, match_tables
from arrowsync.core.transfer import Transfer, command_line, listed
from arrowsync.core.waits import Wait, told
from arrowsync.display import Shown
from arrowsync.display.document import Document
from arrowsync.display.formatting import noun
from arrowsync.display.plan import plan_dict, plan_document, plan_warnings
from arrowsync.display.progress import progress as show_progress
from arrowsync.display.tables import Tables
from arrowsync.display.transfers import Transfers
from arrowsync.endpoints import Database, endpoint, storage
from arrowsync.endpoints.connection_cache import keep_open
from arrowsync.endpoints.secrets import holds_password
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.executor import check_executor
from arrowsync.engine.memory import MemoryTracker, process_tracker
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.pipe import CopyContext
from arrowsync.engine.planner import make_plans, measured
from arrowsync.engine.runner import run
from arrowsync.engine.stream import reading_plan
from arrowsync.engine.stream import stream as stream_rows
from arrowsync.engine.table_run import Copied
from arrowsync.engine.table_selection import find_tables, row_filter
from arrowsync.engine.verify import compare_tables
from arrowsync.errors import ArrowsyncError, ConfigError, SchemaError, TransferError
from arrowsync.report import Collector, Report, Verification

if TYPE_CHECKING:
    from arrowsync.display.doctor import Checkup


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """How a transfer will be done; nothing has been written yet. `run()` does it."""

    transfer: Transfer
    planned: TransferPlan
    source: Source
    sink: Sink
    executor: Executor | None = None
    observer: Observer | None = None
    progress: bool | None = None

    def __repr__(self) -> str:
        rows = [plan.source.rows for plan in self.tables]
        known = f", {noun(sum(filter(None, rows)), 'row')}" if None not in rows else ""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"<Plan: {noun(len(self.tables), 'table')}{skipped}{known}, {self.transfer.mode}>"

    @property
    def tables(self) -> tuple[TablePlan, ...]:
        """The plan of each table that is copied, or was by an earlier run that this one goes on with."""
        return self.planned.tables

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Tables that cannot be copied and were not asked for by name."""
        return self.planned.skipped

    @property
    def warnings(self) -> tuple[str, ...]:
        return plan_warnings(self.planned)

    def run(self, *, observer: Observer | None = None, progress: bool | None = None) -> Report:
        """Copy the tables. Raises TransferError when one failed, or when all had to be skipped.

        It and KeyboardInterrupt have the report. Plan anew then: the same call goes on where this one ended.

        `observer` is told besides the plan's own; `progress` takes the place of what the plan says.
        """
        _check_helpers(self.executor, observer, progress)
        observers = [each for each in (self.observer, observer) if each]
        collector = Collector(self.transfer, self.skipped)
        with (
            process_tracker(self.transfer.limits.memory_bytes) as tracker,
            Cancellation() as cancellation,
            show_progress(self.progress if progress is None else progress) as display,
        ):
            for warning in self.planned.warnings:
                display.say(warning)
            context = CopyContext(tracker, cancellation, tell_each(collector, display, *observers))
            try:
                copied = run(self.planned, self.source, self.sink, context, self.executor)
            except KeyboardInterrupt as interrupt:
                # By now everything is rolled back and closed; whoever catches it can say how far it came.
                interrupt.report = self._report(collector, tracker, [interrupt])  # type: ignore[attr-defined]
                raise
            return self._outcome(collector, copied, tracker)

    def _outcome(self, collector: Collector, copied: Sequence[Copied], tracker: MemoryTracker) -> Report:
        """The report of all tables. Raises TransferError where there is an error of one, or of all."""
        for table in copied:
            collector.finish_table(
                str(table.plan.source.name),
                verified=table.verified,
                warnings=table.warnings,
                unenforced=table.unenforced,
                errors=table.errors,
            )
        of_all = self._nothing_left()
        report = self._report(collector, tracker, of_all)
        for error in (*of_all, *(error for table in copied for error in table.errors)):
            failure = TransferError(str(error))
            failure.report = report
            raise failure from error
        return report

    def _report(
        self, collector: Collector, tracker: MemoryTracker, errors: Sequence[BaseException]
    ) -> Report:
        report = collector.finish(peak_memory=tracker.peak, warnings=self.planned.warnings, errors=errors)
        return replace(report, warnings=(*report.warnings, *self._rest(report)))

    def _rest(self, report: Report) -> Iterator[str]:
        """Without a journal nobody else knows which tables are done."""
        done = {table.table for table in report.tables if table.status in ("complete", "partial")}
        rest = [str(plan.source.name) for plan in self.tables if str(plan.source.name) not in done]
        if self.transfer.journal is None and done and rest:
            request = {**self.transfer.identity(), "tables": rest, "patterns": []}
            yield (
                f"finished: {', '.join(sorted(done))}. Without a journal the same command would copy "
                f"{'it' if len(done) == 1 else 'them'} again; for the rest: "
                f"{command_line(request)} --no-journal"
            )

    def _nothing_left(self) -> list[ArrowsyncError]:
        """The error of a plan whose every table had to be skipped."""
        if self.tables or not self.skipped:
            return []
        reasons = (f"{each.table}: {each.sentence}" for each in self.skipped)
        return [SchemaError("\n  ".join(("no table can be copied:", *reasons)))]

    def __getstate__(self) -> dict[str, Any]:  # Any: the fields
        """What is pickled. Raises ConfigError for a password that stands in a URI: pickles lie in files."""
        for place in (self.source, self.sink):
            if isinstance(place, Database) and holds_password(place.uri):
                raise ConfigError(
                    f"a plan with the password of {place} is not pickled",
                    hint="Write ${NAME} for the password: it is filled in from the environment where the "
                    "plan is run",
                )
        return vars(self)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """The plan as JSON values."""
        return plan_dict(self.transfer, self.planned)

    def document(self) -> Document:
        return plan_document(self.transfer, self.planned)


@takes(CopyArguments)
def plan(asked: CopyArguments) -> Plan:
    """Plan a transfer; writes nothing.

    `run()` of the plan copies the tables. With an `executor` its workers copy the partitions, each
    process within limits.memory: they must reach both places and share the quarantine folder.
    Raises ConfigError for what cannot be done as asked, SchemaError for columns that would not
    arrive unchanged.
    """
    return planned(asked, sample_types=False)


def planned(asked: CopyArguments, *, sample_types: bool) -> Plan:
    """As `plan`; with `sample_types`, as in `copy`, a sample is enough for types that the copy proves."""
    _check_helpers(asked.executor, asked.observer, asked.progress)
    transfer, source, sink = _transfer(asked)
    transfer = transfer.settled(sink.capabilities)
    if asked.executor is not None:
        check_executor(transfer, source, sink)
    with _reading_catalogues(asked.observer, asked.progress):
        made = make_plans(transfer, source, sink, sample_types=sample_types)
    return Plan(transfer, made, source, sink, asked.executor, asked.observer, asked.progress)


@takes(CopyArguments)
def copy(asked: CopyArguments) -> Report:
    """Copy tables from source to target and return the report.

    Raises what `plan` raises, and TransferError (with `.report`) when a table failed; what is
    committed stays, and the same call resumes. With an `executor` its workers copy the partitions,
    each process within limits.memory: they must reach both places and share the quarantine folder.
    """
    return planned(asked, sample_types=True).run()


@takes(RowArguments)
def verify(asked: RowArguments) -> Verification:
    """Compare tables with their copies: counts, fingerprints, and where these differ the rows, by key.

    Writes nothing. A table that the target lacks, or that cannot be compared, is a row of the
    result, and the others are compared.
    """
    transfer, source, sink = _transfer(asked)
    with _reading_catalogues():
        tables, odd = find_tables(transfer, source)
        skipped = odd.skipped()
    unread = (TableCheck(str(each.table), "", "not comparable", each.sentence) for each in skipped)
    with Cancellation() as cancellation:
        checks = compare_tables(transfer, tables, source, sink, cancellation)
    return Verification(transfer.source, transfer.target, (*checks, *unread))


@takes(StreamArguments)
def stream(asked: StreamArguments) -> pa.RecordBatchReader:
    """The rows of a table or query as a RecordBatchReader, read ahead inside the memory limit.

    Columns come as Arrow's own types where these carry every value, else as text. The reader holds
    a connection until it is exhausted or closed; a value that the type cannot carry raises in the
    middle.
    """
    source = endpoint(asked.place)
    target_table = "query" if asked.query else None  # a query needs a name
    transfer = Transfer.of(source.identity, "", target_table=target_table, **transfer_arguments(asked))
    with _reading_catalogues():
        found, odd = find_tables(transfer, source)
        odd.refuse()
        if len(found) != 1:
            raise ConfigError(f"a stream is one table, not {len(found)}", hint="Name it with table=")
        plan = reading_plan(
            transfer, measured(source, found[0], row_filter(transfer)), source.forms(found[0])
        )
    return stream_rows(source, plan)


@explained
def inspect(
    place: Annotated[object, "a URI, a path, a Database; or a frame"],
    *,
    table: TableNames = None,
    tables: TablePatterns = None,
) -> Tables:
    """The tables of a database: columns, keys, indexes, row estimates, sizes.

    `table` may name views too.
    """
    source = endpoint(place)
    with _reading_catalogues():
        names, everything = source.names(), source.names(views=True)
        named = [find_table(wanted, everything) for wanted in listed("table", table or ())]
        if tables is not None:
            names = match_tables(listed("tables", tables), names)
        elif table is not None:
            names = []
        odd = OddTables(named)
        found = odd.describe(source, [*named, *(name for name in names if name not in named)])
        return Tables(source.identity, tuple(found), odd.skipped())


@explained
def status(
    target: Annotated[object, "a URI, a path, a Database"],
    *,
    journal: Annotated[str, "the journal's schema or prefix"] = "arrowsync",
    by_table: Annotated[bool, "show the tables of each transfer, too"] = False,
) -> Transfers:
    """The transfers in the target's journal: running, interrupted, done; how far, since when.

    Unfinished ones come first. Only looks: it keeps no copy from beginning or going on.
    """
    place = storage(target)
    return Transfers(place.identity, tuple(place.transfers(journal)), by_table)


def doctor(place: object = None) -> Checkup:
    """Which driver serves each scheme, whose choice it was, and how fast it is; versions and limits.

    Takes a second, and needs no server. A `place` is connected to: raises ConfigError where it is no
    database, or cannot be reached.
    """
    found = None if place is None else endpoint(place)
    if found is not None and not isinstance(found, Database):
        raise ConfigError(f"doctor needs a database, not {found}", hint="Leave it out to see the drivers")
    from arrowsync.diagnostics import examine  # 5 ms that no copy need wait for

    return examine(found)


def _transfer(asked: RowArguments) -> tuple[Transfer, Source, Sink]:
    """What was asked for, and the two places."""
    source, sink = endpoint(asked.source, index=asked.index), storage(asked.target)
    transfer = Transfer.of(source.identity, sink.identity, **transfer_arguments(asked))
    if not transfer.row_security:
        return transfer, source, sink
    if not isinstance(source, Database):
        raise ConfigError(f"{source} has no row security", hint="Leave row_security out")
    return transfer, source.through_policies(), sink


def _check_helpers(executor: object, observer: object, progress: object) -> None:
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ConfigError(f"executor must be a concurrent.futures.Executor, not {executor!r}")
    if observer is not None and not callable(observer):
        raise ConfigError(f"observer must be a function of an event, not {observer!r}")
    if progress not in (None, True, False):
        raise ConfigError(f"progress must be True, False or None, not {progress!r}")


@contextmanager
def _reading_catalogues(observer: Observer | None = None, progress: bool | None = None) -> Iterator[None]:
    """Keeps connections open from one question to the next, and shows whose lock is waited for."""

    def tell(wait: Wait) -> None:
        with show_progress(progress) as display:
            tell_each(display, *filter(None, [observer]))(LockAwaited(table=wait.lock, wait=wait))

    with keep_open(), told(tell):
        yield
