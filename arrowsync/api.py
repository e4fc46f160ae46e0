"""The verbs: copy, plan, verify, inspect, status, doctor, stream. Wires the rooms; moves nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pyarrow as pa

from arrowsync.core.check import TableCheck
from arrowsync.core.contracts import Sink, Source
from arrowsync.core.events import Event, LockAwaited, Observer
from arrowsync.core.plan import Skipped, TablePlan, TransferPlan
from arrowsync.core.table import find_table, match_tables
from arrowsync.core.transfer import Limits, Retry, Transfer, command_line, listed
from arrowsync.core.waits import Wait, told
from arrowsync.display import Shown
from arrowsync.display.figures import noun
from arrowsync.display.plan import plan_dict, plan_sheet, plan_warnings
from arrowsync.display.progress import progress as show_progress
from arrowsync.display.sheet import Sheet
from arrowsync.display.tables import Tables
from arrowsync.display.transfers import Transfers
from arrowsync.endpoints import Database, endpoint, storage
from arrowsync.endpoints.kept import keep_open
from arrowsync.endpoints.secrets import holds_password
from arrowsync.engine.memory import MemoryTracker, process_tracker
from arrowsync.engine.odd_tables import OddTables
from arrowsync.engine.pipe import Surroundings
from arrowsync.engine.planner import make_plans, measured
from arrowsync.engine.remote import check_executor
from arrowsync.engine.runner import run
from arrowsync.engine.stop import Stop
from arrowsync.engine.stream import reading_plan
from arrowsync.engine.stream import stream as stream_rows
from arrowsync.engine.table_run import Copied
from arrowsync.engine.table_selection import find_tables
from arrowsync.engine.verify import compare_tables
from arrowsync.errors import ArrowsyncError, ConfigError, SchemaError, TransferError
from arrowsync.report import Collector, Report, Verification

if TYPE_CHECKING:
    from arrowsync.display.checkup import Checkup

log = logging.getLogger("arrowsync")

Names = str | Iterable[str]


class Arguments(TypedDict, total=False):
    """What `copy` and `plan` take by keyword. Defaults are those of core.transfer.Transfer."""

    table: Names | None  # exact names
    tables: Names | None  # patterns: "public.*", "!public.audit_*"
    query: str | None  # a SELECT in the source's SQL instead of a table
    target_table: str | None
    mode: str  # create, append, replace
    key: Names | None  # columns that name a row, where not the primary key: to verify by
    columns: Names | None
    exclude: Names | None
    rename: Mapping[str, str] | None
    where: str | None  # in the source's SQL
    index: bool | None  # of a pandas frame, as columns. None: its named levels; True: all; False: none
    row_security: bool  # read only the rows that PostgreSQL's policies show; else hidden ones are an error
    cast: Mapping[str, str] | None  # column -> type of the target
    cursor: str | None  # not there yet, as the next two
    lookback: str | None
    delete_missing: bool
    schema_only: bool  # tables and all that belongs to them, and no row
    views: bool  # as views between equal databases, else as tables of their rows
    workers: int | None  # partitions at once; with an executor in each of its processes
    limits: Limits | None
    retry: Retry | None
    on_bad_rows: str  # quarantine, stop
    max_bad_rows: int | str  # per table: a number, or "1%" of the rows read
    quarantine: str  # folder for refused rows
    nul: str  # text with U+0000 for a target that cannot store it: quarantine, error, strip
    verify: str  # count, hash, off
    allow_lossy: bool
    allow_empty: bool | Names  # let replace exchange rows for none: in all tables, or those of these patterns
    journal: str | None  # schema or prefix of the journal; None: each table in one transaction, no resume
    restart: bool  # give up what an unfinished transfer has left, and begin anew
    not_consistent: bool  # resume a table with a key although its source may have changed


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
        _check_callable(self.executor, observer)
        observers = [each for each in (self.observer, observer) if each]
        collector = Collector(self.transfer, self.skipped)
        with (
            process_tracker(self.transfer.limits.memory_bytes) as tracker,
            Stop() as stop,
            show_progress(self.progress if progress is None else progress) as display,
        ):
            for warning in self.planned.warnings:
                display.say(warning)
            around = Surroundings(tracker, stop, _telling(collector, display, *observers))
            try:
                copied = run(self.planned, self.source, self.sink, around, self.executor)
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

    def sheet(self) -> Sheet:
        return plan_sheet(self.transfer, self.planned)


def plan(
    source: object,
    target: object,
    *,
    executor: Executor | None = None,
    observer: Observer | None = None,
    progress: bool | None = None,
    **arguments: Unpack[Arguments],
) -> Plan:
    """Plan a transfer; writes nothing.

    `source` and `target` are URIs, paths, Databases, and as a source frames. `executor` is a
    concurrent.futures.Executor, Dask's `Client.get_executor()` among them, whose workers copy the partitions,
    each process within limits.memory: they must reach both places and share the quarantine folder. `observer`
    is told of every event; `progress` shows a display on stderr (None: on a terminal or in a notebook).
    Raises ConfigError for what cannot be done as asked, SchemaError for columns that would not arrive
    unchanged.
    """
    return planned(
        source,
        target,
        presume=False,
        executor=executor,
        observer=observer,
        progress=progress,
        **arguments,
    )


def planned(
    source: object,
    target: object,
    *,
    presume: bool,
    executor: Executor | None = None,
    observer: Observer | None = None,
    progress: bool | None = None,
    **arguments: Unpack[Arguments],
) -> Plan:
    """As `plan`; with `presume`, as `copy` does, a sample is enough for types that its rows will prove."""
    _check_callable(executor, observer)
    reads, writes = _read_from(source, arguments), storage(target)
    transfer = Transfer.of(reads.identity, writes.identity, **arguments)
    if executor is not None:
        check_executor(transfer, reads, writes)
    with _asking(observer, progress):
        made = make_plans(transfer, reads, writes, presume=presume)
    return Plan(transfer, made, reads, writes, executor, observer, progress)


def copy(
    source: object,
    target: object,
    *,
    executor: Executor | None = None,
    observer: Observer | None = None,
    progress: bool | None = None,
    **arguments: Unpack[Arguments],
) -> Report:
    """Copy tables from source to target and return the report.

    Takes what `plan` takes and raises what it raises, and TransferError (with `.report`) when a table failed;
    what is committed stays, and the same call resumes.
    """
    return planned(
        source,
        target,
        presume=True,
        executor=executor,
        observer=observer,
        progress=progress,
        **arguments,
    ).run()


def inspect(place: object, *, table: Names | None = None, tables: Names | None = None) -> Tables:
    """The tables of a database: columns, keys, indexes, row estimates, sizes. `table` may name views too."""
    source = endpoint(place)
    with _asking():
        names, everything = source.names(), source.names(views=True)
        named = [find_table(wanted, everything) for wanted in listed("table", table or ())]
        if tables is not None:
            names = match_tables(listed("tables", tables), names)
        elif table is not None:
            names = []
        odd = OddTables(named)
        found = odd.describe(source, [*named, *(name for name in names if name not in named)])
        return Tables(source.identity, tuple(found), odd.skipped())


def status(target: object, *, journal: str = "arrowsync", by_table: bool = False) -> Transfers:
    """The transfers that the target's journal knows: running, interrupted, done; how far, since when.

    Unfinished ones come first; `by_table` shows the tables of each one, too. Only looks: it keeps no copy
    from beginning or going on.
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
        raise ConfigError(f"{found} is no database", hint="Without a place, doctor looks at every driver")
    from arrowsync.checkup import examine  # 5 ms that no copy need wait for

    return examine(found)


def verify(source: object, target: object, **arguments: Unpack[Arguments]) -> Verification:
    """Compare tables with their copies: counts and fingerprints, and where these differ the rows, by key.

    Takes the arguments of `plan` that say which tables, columns and rows. Writes nothing. A table that the
    target lacks, or that cannot be compared, is a row of the result, and the others are compared.
    """
    reads, writes = _read_from(source, arguments), storage(target)
    transfer = Transfer.of(reads.identity, writes.identity, **arguments)
    with _asking():
        tables, odd = find_tables(transfer, reads)
        skipped = odd.skipped()
    unread = (TableCheck(str(each.table), "", "not comparable", each.sentence) for each in skipped)
    with Stop() as stop:
        checks = compare_tables(transfer, tables, reads, writes, stop)
    return Verification(transfer.source, transfer.target, (*checks, *unread))


def stream(
    place: object,
    *,
    table: str | None = None,
    query: str | None = None,
    columns: Names | None = None,
    exclude: Names | None = None,
    where: str | None = None,
    limits: Limits | None = None,
) -> pa.RecordBatchReader:
    """The rows of a table or query as a RecordBatchReader, read ahead inside the memory limit.

    Columns come as Arrow's own types where these carry every value, else as text. The reader holds a
    connection until it is exhausted or closed; a value that the type cannot carry raises in the middle.
    """
    source = endpoint(place)
    arguments = {"table": table, "query": query, "columns": columns, "exclude": exclude, "where": where}
    named = {"target_table": "query"} if query else {}
    transfer = Transfer.of(source.identity, "", limits=limits, **arguments, **named)
    with _asking():
        found, odd = find_tables(transfer, source)
        odd.refuse()
        if len(found) != 1:
            raise ConfigError(f"a stream is one table, not {len(found)}", hint="Name it with table=")
        plan = reading_plan(transfer, measured(source, found[0], where), source.forms(found[0]))
    return stream_rows(source, plan)


def _read_from(place: object, arguments: Arguments) -> Source:
    source = endpoint(place, index=arguments.get("index"))
    if not arguments.get("row_security"):
        return source
    if not isinstance(source, Database):
        raise ConfigError(f"row_security: {source} has none", hint="Leave row_security out")
    return source.through_policies()


def _check_callable(executor: object, observer: object) -> None:
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ConfigError(f"executor: {executor!r} is none", hint="Give a concurrent.futures.Executor")
    if observer is not None and not callable(observer):
        raise ConfigError(f"observer: {observer!r} cannot be called", hint="Give a function of an event")


def _telling(*observers: Observer) -> Callable[[Event], None]:
    """Tell them one after another, one event at a time; a failing observer never fails a transfer."""
    lock = threading.Lock()

    def observe(event: Event) -> None:
        with lock:
            for observer in observers:
                try:
                    observer(event)
                except Exception:  # whatever a user's observer raises
                    log.exception("the observer %r failed on %r", observer, event)

    return observe


@contextmanager
def _asking(observer: Observer | None = None, progress: bool | None = None) -> Iterator[None]:
    """Asks places about their tables; who has to wait for a lock meanwhile says so."""

    def tell(wait: Wait) -> None:
        with show_progress(progress) as display:
            _telling(display, *filter(None, [observer]))(LockAwaited(table=wait.lock, wait=wait))

    with keep_open(), told(tell):
        yield
