"""A database behind an ADBC driver, as a source and as a sink. What differs is the dialect's."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from arrowsync.core.contracts import Connection, Forms, Lock, Source
from arrowsync.core.plan import (
    ColumnPlan,
    Partition,
    Phase,
    Published,
    Receipt,
    Snapshot,
    TablePlan,
    Unfinished,
)
from arrowsync.core.status import TransferStatus
from arrowsync.core.table import Table, TableName, UserType, Widths
from arrowsync.core.transfer import Transfer, WriteMode
from arrowsync.dialects.ansi import Dialect
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.drivers import find_driver
from arrowsync.endpoints.journal import Journal
from arrowsync.endpoints.kept import asking
from arrowsync.endpoints.lock import FileLock, ServerLock, is_held, transfer_key, with_locks
from arrowsync.endpoints.reader import DatabaseReader
from arrowsync.endpoints.references import add_references
from arrowsync.endpoints.secrets import fill_in, hide, is_uri
from arrowsync.endpoints.short_tries import in_short_tries
from arrowsync.endpoints.view import Readers, exported, joined, one_view
from arrowsync.endpoints.writer import DatabaseWriter
from arrowsync.errors import ArrowsyncError, ConfigError, ResumeError, TableUnusable, TransientError

T = TypeVar("T")
ALL_IN = "All rows are in: the same command does only what is left"

_DIALECTS: dict[str, Dialect] = {
    "postgresql": PostgreSQL(),
    "postgres": PostgreSQL(),
    "sqlite": SQLite(),
    "file": SQLite(),
}


@dataclass(frozen=True, repr=False)
class Database:
    """A database by URI or path; `driver` is an ADBC library or manifest name, `dialect` one's own Dialect.

    Picklable; opens nothing until it is used. `${VAR}` in the URI stays unresolved until then.
    """

    uri: str
    driver: str | None = None
    dialect: Dialect | None = None

    def __post_init__(self) -> None:
        if isinstance(self.uri, os.PathLike):
            object.__setattr__(self, "uri", os.fspath(self.uri))
        if not isinstance(self.uri, str):
            raise ConfigError(f"uri: a {type(self.uri).__name__} is none", hint="Give a URI or a path")
        if not isinstance(self.driver, str | None):
            raise ConfigError(f"driver: cannot use {self.driver!r}", hint="Give a library's name or path")
        if not isinstance(self.dialect, Dialect | None):
            raise ConfigError(
                f"dialect: {self.dialect!r} is no Dialect",
                hint="Give a Dialect of your own, or leave it out where the URI's scheme says it",
            )

    def __repr__(self) -> str:
        return f"Database({hide(self.uri)!r})"

    def __str__(self) -> str:
        return hide(self.uri)

    @property
    def speaks(self) -> Dialect:
        """Its own dialect, or that of the URI's scheme."""
        return self.dialect or _dialect(fill_in(self.uri))

    @property
    def address(self) -> Address:
        """What opens a connection. Raises ConfigError for a variable or a driver that is not there."""
        return Address(fill_in(self.uri), find_driver(self.speaks, self.driver), self.speaks)

    def connect(self, *, read_only: bool = True) -> AdbcConnection:
        return AdbcConnection(self.address, read_only=read_only)

    @property
    def identity(self) -> str:
        return self.speaks.identity(fill_in(self.uri))

    def through_policies(self) -> Database:
        """The database as policies show it to this user. Raises ConfigError where it knows none."""
        return replace(self, dialect=self.speaks.through_policies())

    # -- Source --------------------------------------------------------------------------------------------

    @property
    def server(self) -> str | None:
        return self.speaks.server(fill_in(self.uri))

    @property
    def is_one_table(self) -> bool:
        return False

    @property
    def shareable(self) -> bool:
        return self.speaks.shareable

    @property
    def most_columns(self) -> int | None:
        return self.speaks.most_columns

    @property
    def readers(self) -> int | None:
        return self.speaks.readers

    def names(self, *, views: bool = False) -> list[TableName]:
        with asking(self.address) as connection:
            return self.speaks.names(connection, views=views)

    def describe_query(self, name: TableName, query: str) -> Table:
        with asking(self.address) as connection:
            return self.speaks.describe_query(connection, name, query)

    def describe(self, names: Sequence[TableName]) -> list[Table]:
        with asking(self.address) as connection:
            return self.speaks.describe(connection, names)

    def check_reading(self, table: Table, where: str | None = None) -> None:
        """See Source.check_reading."""
        with asking(self.address) as connection:
            try:
                self.speaks.check_reading(connection, table)
                connection.rows(f"select 1 from {self.speaks.relation(table)} limit 0")
            except TransientError:
                raise
            except ArrowsyncError as error:
                raise TableUnusable(
                    error.message, table=str(table.name), hint=error.hint, sqlstate=error.sqlstate
                ) from error
            if where is not None:
                self._check_where(connection, table, where)

    def _check_where(self, connection: Connection, table: Table, where: str) -> None:
        try:
            # Without parentheses, where `a) or (b` is an error.
            connection.rows(f"select 1 from {self.speaks.relation(table)} where {where}\nlimit 0")
        except TransientError:
            raise
        except ArrowsyncError as error:
            raise ConfigError(f"where {where!r}: {error.message}", table=str(table.name)) from error

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        with asking(self.address) as connection:
            return self.speaks.widths(connection, table, where)

    def forms(self, table: Table) -> Forms:
        with asking(self.address) as connection:
            return self.speaks.forms(connection, table)

    def presumed(self, table: Table) -> Forms | None:
        with asking(self.address) as connection:
            return self.speaks.presumed(connection, table)

    @contextmanager
    def snapshot(self, readers: int = 1, *, locking: Sequence[TablePlan] = ()) -> Iterator[Snapshot]:
        dialect = self.speaks
        if dialect.export_snapshot is not None:
            with exported(self.address, locking) as snapshot:
                yield snapshot
            return
        with one_view(self.address, readers) as connections:
            yield Snapshot(token=dialect.witness(connections[0]), shared=Readers(connections))

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        with asking(self.address) as connection:
            return self.speaks.partitions(connection, table, target_bytes)

    def slices(self, plan: TablePlan, *, target_bytes: int) -> list[tuple[Partition, ...]]:
        with asking(self.address) as connection:
            return self.speaks.slices(connection, plan, target_bytes)

    def rows_meant(self, plan: TablePlan, snapshot: Snapshot) -> int | None:
        with joined(self.address, snapshot, plan) as connection:
            return int(connection.rows(self.speaks.count(plan))[0][0])

    def states(self, plans: Sequence[TablePlan]) -> list[Mapping[str, Any]]:  # Any: JSON
        with asking(self.address) as connection:
            return [self.speaks.state(connection, plan) for plan in plans]

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        with joined(self.address, snapshot, plan) as connection:
            return self.speaks.unchanged(connection, plan, receipts, state, snapshot.state or {})

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> DatabaseReader:
        return DatabaseReader(self.address, plan, partition, snapshot, batch_bytes=batch_bytes)

    # -- Sink ----------------------------------------------------------------------------------------------

    @property
    def writers(self) -> int | None:
        return self.speaks.writers

    def largest_partition(self, table: Table, transfer: Transfer) -> int | None:
        return None

    @property
    def adds_references(self) -> bool:
        return self.speaks.adds_references

    def is_source(self, source: Source) -> bool:
        if not isinstance(source, Database) or source.speaks.name != self.speaks.name:
            return False
        if source.identity == self.identity:
            return True
        if (file := self.speaks.file(fill_in(self.uri))) is not None:
            return file == source.speaks.file(fill_in(source.uri))
        if not self.speaks.exists(fill_in(self.uri)):
            return False
        with asking(self.address) as here, asking(source.address) as there:
            return self.speaks.is_same(here, there)

    def locate(self, name: TableName) -> TableName:
        if not self.speaks.exists(fill_in(self.uri)):
            self.speaks.options(fill_in(self.uri), read_only=False)  # raises where none can come into being
            return TableName(name.name)  # only files come into being, and files have no schemas
        with asking(self.address) as connection:
            return self.speaks.locate(connection, name)

    def folded(self, name: TableName) -> TableName:
        return self.speaks.folded(name)

    def find(self, name: TableName) -> Table | None:
        if not self.speaks.exists(fill_in(self.uri)):
            return None
        with asking(self.address) as connection:
            tables = self.speaks.describe(connection, [name])
            return tables[0] if tables else None

    def is_empty(self, name: TableName) -> bool:
        with asking(self.address) as connection:
            return not connection.rows(f"select 1 from {self.speaks.quote_table(name)} limit 1")

    def design(
        self, source: Table, forms: Forms, transfer: Transfer, name: TableName, existing: Table | None
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        return self.speaks.design(source, forms, transfer, name, existing, self._types_called(source))

    def _types_called(self, source: Table) -> tuple[UserType, ...]:
        if not self.speaks.exists(fill_in(self.uri)):
            return ()
        with asking(self.address) as connection:
            return self.speaks.user_types(connection, source)

    def apart(self, plans: Sequence[TablePlan]) -> list[TablePlan]:
        if not self.speaks.exists(fill_in(self.uri)):
            return list(plans)
        with asking(self.address) as connection:
            return self.speaks.apart(connection, plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        if self.speaks.exists(fill_in(self.uri)):
            with asking(self.address) as connection:
                self.speaks.check_rights(connection, plan)
                # One that drops a row and adds another passes the count, which sees sums only.
                names = self.speaks.triggers(connection, plan.landing) if plan.exists else []
                warnings = self.speaks.lost(connection, plan)
            if names:
                warnings.append(f"triggers of the target may change rows: {', '.join(names)}")
            plan = replace(plan, warnings=(*plan.warnings, *warnings))
        self._rehearse(plan)
        return self.speaks.statements(plan)

    def _rehearse(self, plan: TablePlan) -> None:
        if statements := self.speaks.rehearsed(plan):
            with asking(replace(self.address, dialect=self.speaks.scratch)) as connection:
                connection.run("begin")
                for statement in statements:
                    connection.run(statement)
                connection.run("rollback")

    def view(self, table: Table, transfer: Transfer) -> tuple[str, ...]:
        return self.speaks.view(table, transfer, self._types_called(table))

    def journal_for(self, name: TableName, journal: str) -> tuple[TableName, TableName]:
        """The journal's tables for transfers into that table. Raises ConfigError where there is no place."""
        if not self.speaks.exists(fill_in(self.uri)):
            return self.speaks.journal_tables(journal)
        with asking(self.address) as connection:
            return self.speaks.locate_journal(connection, journal, name)

    @property
    def identifies_rows(self) -> bool:
        return False

    def unfinished(self, transfer: str, names: Sequence[TableName], journal: str) -> list[Unfinished]:
        """See Sink.unfinished."""
        dialect = self.speaks
        if not dialect.exists(fill_in(self.uri)):
            return []
        targets = {str(name) for name in names}
        with asking(self.address) as connection:
            return [
                _with_landing(connection, each)
                for tables in dialect.find_journals(connection, journal)
                for each in Journal(connection, tables).unfinished(transfer, targets)
            ]

    def lock(self, plans: Sequence[TablePlan]) -> Lock:
        return self._lock_of(plans[0].transfer.id)

    def _lock_of(self, transfer: str) -> Lock:
        uri, dialect = fill_in(self.uri), self.speaks
        path = dialect.lock_file(uri, transfer_key(transfer))
        if path is None:
            return ServerLock(self.address, transfer)
        return FileLock(path, lambda name: dialect.lock_file(uri, str(name)) or path)

    def rows_lost(self, unfinished: Unfinished) -> int:
        with asking(self.address) as connection:
            return self.speaks.rows_lost(connection, unfinished, _landing(unfinished))

    def begin(self, plans: Sequence[TablePlan], found: Sequence[Unfinished]) -> None:
        """See Sink.begin."""
        transfer, targets = plans[0].transfer.id, {str(plan.target.name) for plan in plans}
        places = {plan.journal for plan in plans} | {each.journal for each in found}
        with ExitStack() as stack:
            others = {each.transfer for each in found if each.phase is not Phase.GIVEN_UP} - {transfer}
            for other in sorted(others):
                stack.enter_context(self._lock_of(other))  # nothing is taken from a run that goes on
            connection = stack.enter_context(self.connect(read_only=False))
            stack.enter_context(_transaction(connection))
            journals = {place: self._opened(connection, place) for place in places if place}
            noted = [old for each in journals.values() for old in each.unfinished(transfer, targets)]
            _check_as_planned(plans, found, noted)
            ours = {plan.run for plan in plans}
            left = [each for each in noted if each.run not in ours and each.phase is not Phase.GIVEN_UP]
            self._give_up(connection, left, to=transfer)
            if not any(each.transfer == transfer for each in noted):
                for journal in journals.values():
                    journal.forget_all(transfer)
            there = {each.run for each in noted}
            for plan in plans:
                if plan.journal is not None and plan.run not in there:
                    journals[plan.journal].note(plan)

    def _opened(self, connection: AdbcConnection, place: tuple[TableName, TableName]) -> Journal:
        """The journal, made where there is none yet."""
        for statement in self.speaks.create_journal(place[0].schema or ""):
            connection.run(statement)
        journal = Journal(connection, place)
        journal.create()
        return journal

    def _give_up(self, connection: AdbcConnection, olds: Sequence[Unfinished], *, to: str) -> None:
        """Take back what transfers that are given up have made, and forget them."""
        self._take_back(connection, olds)
        for old in olds:
            assert old.journal is not None, "it was found in one"
            Journal(connection, old.journal).give_up(old, to=to)

    def _take_back(self, connection: AdbcConnection, olds: Sequence[Unfinished]) -> None:
        """Drop tables of their making, and empty others; never a table that is no longer theirs.

        Rows that were appended stay: nobody can tell them from others.
        """
        dialect = self.speaks
        theirs = [
            (old, name)
            for old in sorted(olds, key=lambda old: int(old.state.get("number", 0)))
            if old.has_landing and not old.appends
            for name in [_landing(old)]
            if dialect.landing(connection, old, name) != "other"
        ]
        made = [name for old, name in theirs if old.made_landing]
        for statement in dialect.drop(dialect.describe(connection, made) if made else ()):
            connection.run(statement)
        # Those that refer to others come later in a transfer, and go first.
        for old, name in reversed([(old, name) for old, name in theirs if not old.made_landing]):
            if old.phase is Phase.RUNNING:
                connection.run(dialect.empty(name))
            elif old.request["mode"] == WriteMode.CREATE:
                connection.run(f"delete from {dialect.quote_table(name)}")

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:  # Any: JSON
        """See Sink.prepare."""
        if plan.journal is None:
            return ()  # the one transaction that writes the rows makes the table too
        with self.connect(read_only=False) as connection, _transaction(connection):
            journal = Journal(connection, plan.journal)
            found = {each.run: each for each in journal.unfinished("", {str(plan.target.name)})}
            mine = found.pop(plan.run, None)
            if mine is not None and mine.phase is not Phase.WAITING:
                if mine.partitions != plan.partitions:
                    raise _not_as_planned(str(plan.target.name))
                if state is not None:
                    journal.remember(plan, {**mine.state, **state})
                return mine.receipts
            others = {run for run, each in found.items() if each.phase is not Phase.GIVEN_UP}
            is_over = mine is None and not any(each.transfer == plan.transfer.id for each in found.values())
            if is_over or plan.resumes or others - {each.run for each in plan.discards}:
                raise _not_as_planned(str(plan.target.name))
            self._give_up(connection, [found[run] for run in others], to=plan.transfer.id)
            self._begin(connection, journal, plan, state or {})
            return ()

    def _begin(
        self, connection: AdbcConnection, journal: Journal, plan: TablePlan, state: Mapping[str, Any]
    ) -> None:  # Any: JSON
        table = self.speaks.quote_table(plan.landing)
        if (
            plan.exists
            and plan.transfer.mode is WriteMode.CREATE
            and connection.rows(f"select 1 from {table} limit 1")
        ):
            raise ConfigError(f"the target table {plan.landing} holds rows since this was planned")
        for statement in plan.before:
            connection.run(statement)
        remembered = {
            "exists": plan.exists,
            "landing": [plan.landing.name, plan.landing.schema],
            "mark": self.speaks.mark(connection, plan.landing),
        }
        journal.begin(plan, {**remembered, **state})

    def open_writer(self, plan: TablePlan, partition: Partition) -> DatabaseWriter:
        return DatabaseWriter(self.address, plan, partition)

    def publish(
        self, plan: TablePlan, receipts: Sequence[Receipt], outcome: Mapping[str, Any]
    ) -> Published:  # Any: JSON
        """See Sink.publish. Goes on where an earlier call was interrupted; a second call does no harm."""
        if plan.journal is None:
            if not plan.partitions:
                self._make(plan)
            return Published()  # else the one transaction that wrote the rows has done it
        with self.connect(read_only=False) as connection:
            journal = Journal(connection, plan.journal)
            state = journal.state(plan)
            if state is None:
                return Published()  # the connection was lost after the commit
            for number in range(state.get("built", 0), plan.separate):
                with _transaction(connection):
                    connection.run(plan.after[number])
                    journal.remember(plan, {**state, "built": number + 1})

            def last() -> Published:
                for statement in (*self.speaks.durable, *plan.after[plan.separate :]):
                    connection.run(statement)
                published = add_references(connection, plan)
                journal.publish(plan, receipts, {**state, **outcome, **self._finished(connection, plan)})
                return published

            return _in_short_transactions(connection, last, ALL_IN)

    def _finished(self, connection: AdbcConnection, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What tells, until the transfer is over, whether the table is still the one that was finished."""
        name = plan.target.name
        return {
            "landing": [name.name, name.schema],
            "mark": self.speaks.mark(connection, name),
            "references": [reference.to_dict() for reference in plan.references],
        }

    def finish(self, plans: Sequence[TablePlan], partial: Collection[TableName]) -> None:
        """See Sink.finish."""
        transfer = plans[0].transfer.id
        with self.connect(read_only=False) as connection, _transaction(connection):
            for statement in self.speaks.durable:
                connection.run(statement)
            for tables in {plan.journal for plan in plans if plan.journal}:
                journal = Journal(connection, tables)
                journal.finish(transfer, {str(name) for name in partial})
                if self.speaks.drops_journal:
                    journal.drop_if_idle()

    def _make(self, plan: TablePlan) -> None:
        def make() -> None:
            for statement in (*plan.before, *plan.after, *self.speaks.durable):
                connection.run(statement)

        with self.connect(read_only=False) as connection:
            _in_short_transactions(connection, make, "Nothing was changed")

    def enforce(self, plan: TablePlan) -> Published:
        """See Sink.enforce."""
        if not plan.references and not plan.exists:
            return Published()
        with self.connect(read_only=False) as connection:
            added = _in_short_transactions(
                connection, lambda: add_references(connection, plan, last=True), "The rows are in"
            )
            # A replace has built other tables' keys to this one anew.
            unchecked = self.speaks.unchecked(connection, plan.target.name) if plan.exists else []
            return replace(added, unenforced=(*added.unenforced, *unchecked))

    def transfers(self, journal: str) -> list[TransferStatus]:
        """What the journal and the locks tell of transfers into this database."""
        dialect = self.speaks
        with asking(self.address) as connection:

            def look() -> list[TransferStatus]:
                journals = dialect.find_journals(connection, journal)
                return [entry for tables in journals for entry in Journal(connection, tables).entries()]

            def held(entry: TransferStatus) -> bool:
                key = transfer_key(entry.transfer)
                path = dialect.lock_file(fill_in(self.uri), key)
                return is_held(path) if path else dialect.is_locked(connection, key)

            return with_locks(look, held)

    def count(self, name: TableName, expected: int | None = None) -> int:
        with asking(self.address) as connection:
            if expected is not None and self.speaks.booked(connection, name, expected):
                return expected
            return int(connection.rows(f"select count(*) from {self.speaks.quote_table(name)}")[0][0])


def _landing(unfinished: Unfinished) -> TableName:
    return TableName(*unfinished.state["landing"])


def _in_short_transactions(connection: AdbcConnection, work: Callable[[], T], hint: str) -> T:
    """`work()` in a transaction; in as many as it takes to get the locks that keep others out."""

    def once() -> T:
        with _transaction(connection):
            for statement in connection.dialect.short_waits:
                connection.run(statement)
            return work()

    with connection.over_tries():
        return in_short_tries(once, hint=hint)


def _with_landing(connection: AdbcConnection, found: Unfinished) -> Unfinished:
    """With what became of the table that its rows went into."""
    if not found.has_landing:
        return found
    return replace(found, landing=connection.dialect.landing(connection, found, _landing(found)))


def _check_as_planned(
    plans: Sequence[TablePlan], found: Sequence[Unfinished], noted: Sequence[Unfinished]
) -> None:
    """Raises ResumeError when the journal holds others than were found in planning."""
    now, known = {each.run: each for each in noted}, {each.run for each in found}
    ours = {plan.run: plan for plan in plans}
    for each in (*found, *noted):
        if each.run not in now or each.run not in known | ours.keys():
            raise _not_as_planned(each.target)
    for run, plan in ours.items():
        planned = plan.resumes.phase if plan.resumes else Phase.WAITING
        if run in now and now[run].phase is not planned:
            raise _not_as_planned(str(plan.target.name))


def _not_as_planned(target: str) -> ResumeError:
    return ResumeError(
        f"another run has begun or finished copying into {target} since this was planned",
        hint="Run the same command again",
    )


@contextmanager
def _transaction(connection: AdbcConnection) -> Iterator[None]:
    connection.run(connection.dialect.begin_write)
    try:
        yield
        connection.run("commit")
    except BaseException:
        with suppress(ArrowsyncError):  # the connection is gone, and the transaction with it
            connection.run("rollback")
        raise


def _dialect(uri: str) -> Dialect:
    scheme = uri.partition(":")[0]
    name = scheme.partition("+")[0].lower()
    if name in _DIALECTS:
        return _DIALECTS[name]
    if is_uri(uri):
        raise ConfigError(
            f"unknown scheme {scheme!r} in {hide(uri)!r}",
            hint=f"Known are {', '.join(_DIALECTS)}; for others there is Database(uri, driver=…, dialect=…)",
        )
    if "=" in uri and any(word in uri for word in ("host=", "dbname=", "service=")):
        return _DIALECTS["postgresql"]
    return _DIALECTS["sqlite"]
