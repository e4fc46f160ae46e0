"""A transfer's way into a database: noted in the journal, begun, taken back, published, over.

What the journal's rows say is journal.py's; writer.py writes a partition's rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from arrowsync.core.contracts import Lock
from arrowsync.core.events import Event, Publishing
from arrowsync.core.plan import Published, TablePlan
from arrowsync.core.receipts import Leftover, Phase, Receipt, Unfinished
from arrowsync.core.status import TransferStatus
from arrowsync.core.table import TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.endpoints.connection_cache import asking
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.foreign_keys import add_foreign_keys
from arrowsync.endpoints.journal import Journal
from arrowsync.endpoints.lock import FileLock, ServerLock, is_held, transfer_key, with_locks
from arrowsync.endpoints.short_tries import in_short_tries
from arrowsync.errors import ArrowsyncError, ConfigError, ResumeError

T = TypeVar("T")
ALL_IN = "All rows are in: the same command does only what is left"


class DatabaseTarget(ABC):
    """The part of a Sink that notes a transfer, begins it, takes back what others have left, and ends it.

    The database may not be there before the first connection that writes.
    """

    @property
    @abstractmethod
    def address(self) -> Address:
        """What opens a connection. Raises ConfigError for a variable or a driver that is not there."""

    @property
    @abstractmethod
    def speaks(self) -> Dialect:
        """Its own dialect, or that of the URI's scheme."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a database to look into; a file that a sink will create is not there yet."""

    def _connect(self) -> AdbcConnection:
        return AdbcConnection(self.address, read_only=False)

    # -- planning ------------------------------------------------------------------------------------------

    def unfinished(self, transfer: str, names: Sequence[TableName], journal: str) -> list[Unfinished]:
        """See Sink.unfinished."""
        if not self.exists:
            return []
        targets = {str(name) for name in names}
        with asking(self.address) as connection:
            return [
                _with_write_table_state(connection, each)
                for tables in self.speaks.find_journals(connection, journal)
                for each in Journal(connection, tables).unfinished(transfer, targets)
            ]

    def transfers(self, journal: str) -> list[TransferStatus]:
        """What the journal and the locks tell of transfers into this database."""
        dialect = self.speaks
        with asking(self.address) as connection:

            def look() -> list[TransferStatus]:
                journals = dialect.find_journals(connection, journal)
                return [entry for tables in journals for entry in Journal(connection, tables).entries()]

            def held(entry: TransferStatus) -> bool:
                key = transfer_key(entry.transfer)
                path = dialect.lock_file(self.address.uri, key)
                return is_held(path) if path else dialect.is_locked(connection, key)

            return with_locks(look, held)

    def rows_lost(self, unfinished: Unfinished) -> int:
        with asking(self.address) as connection:
            return self.speaks.rows_lost(connection, unfinished)

    # -- beginning -----------------------------------------------------------------------------------------

    def lock(self, plans: Sequence[TablePlan]) -> Lock:
        return self._lock_of(plans[0].transfer.id)

    def _lock_of(self, transfer: str) -> Lock:
        uri, dialect = self.address.uri, self.speaks
        path = dialect.lock_file(uri, transfer_key(transfer))
        if path is None:
            return ServerLock(self.address, transfer)
        return FileLock(path, lambda name: dialect.lock_file(uri, str(name)) or path)

    def begin(self, plans: Sequence[TablePlan], found: Sequence[Unfinished]) -> None:
        """See Sink.begin."""
        transfer, targets = plans[0].transfer.id, {str(plan.target.name) for plan in plans}
        places = {plan.journal for plan in plans} | {each.journal for each in found}
        with ExitStack() as stack:
            others = {each.transfer for each in found if each.phase is not Phase.GIVEN_UP} - {transfer}
            for other in sorted(others):
                stack.enter_context(self._lock_of(other))  # nothing is taken from a run that goes on
            connection = stack.enter_context(self._connect())
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

    def prepare(self, plan: TablePlan, state: Mapping[str, Any] | None) -> tuple[Receipt, ...]:  # Any: JSON
        """See Sink.prepare."""
        if plan.journal is None:
            return ()  # the one transaction that writes the rows makes the table too
        with self._connect() as connection, _transaction(connection):
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
        table = self.speaks.quote_table(plan.write_table)
        occupied = plan.write.exists and plan.write.needs_empty
        if occupied and connection.rows(f"select 1 from {table} limit 1"):
            raise ConfigError(f"the target table {plan.write_table} holds rows since this was planned")
        for statement in plan.write.before:
            connection.run(statement)
        remembered = {
            "exists": plan.write.exists,
            "landing": [plan.write_table.name, plan.write_table.schema],
            "mark": self.speaks.table_version(connection, plan.write_table),
        }
        journal.begin(plan, {**remembered, **state})

    def _opened(self, connection: AdbcConnection, place: tuple[TableName, TableName]) -> Journal:
        """The journal, made where there is none yet."""
        for statement in self.speaks.create_journal(place[0].schema or ""):
            connection.run(statement)
        journal = Journal(connection, place)
        journal.create()
        return journal

    # -- what others have left -----------------------------------------------------------------------------

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
            old
            for old in sorted(olds, key=lambda old: int(old.state.get("number", 0)))
            if old.leftover in (Leftover.TABLE, Leftover.ALL_ROWS)
            and dialect.write_table_state(connection, old) != "other"
        ]
        made = [old.write_table_name for old in theirs if old.leftover is Leftover.TABLE]
        for statement in dialect.drop(dialect.describe(connection, made) if made else ()):
            connection.run(statement)
        # Those that refer to others come later in a transfer, and go first.
        for old in reversed([old for old in theirs if old.leftover is Leftover.ALL_ROWS]):
            if old.phase is Phase.RUNNING:
                connection.run(dialect.empty(old.write_table_name))
            else:
                connection.run(f"delete from {dialect.quote_table(old.write_table_name)}")

    # -- publishing ----------------------------------------------------------------------------------------

    def publish(
        self,
        plan: TablePlan,
        receipts: Sequence[Receipt],
        outcome: Mapping[str, Any],  # Any: JSON
        observe: Callable[[Event], None],
    ) -> Published:
        """See Sink.publish. Goes on where an earlier call was interrupted; a second call does no harm."""
        if plan.journal is None:
            if not plan.partitions:
                self._make(plan, observe)
            return Published()  # else the one transaction that wrote the rows has done it
        builds = len(plan.write.builds)
        with self._connect() as connection:
            journal = Journal(connection, plan.journal)
            state = journal.state(plan)
            if state is None:
                return Published()  # the connection was lost after the commit
            for number in range(state.get("built", 0), builds):
                with _transaction(connection):
                    _finish(connection, plan, number, observe)
                    journal.remember(plan, {**state, "built": number + 1})

            def last() -> Published:
                for statement in self.speaks.capabilities.durable:
                    connection.run(statement)
                for number in range(builds, len(plan.write.after)):
                    _finish(connection, plan, number, observe)
                published = add_foreign_keys(connection, plan)
                journal.publish(plan, receipts, {**state, **outcome, **self._finished(connection, plan)})
                return published

            return _in_short_transactions(connection, last, ALL_IN)

    def _finished(self, connection: AdbcConnection, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What tells, until the transfer is over, whether the table is still the one that was finished."""
        name = plan.target.name
        return {
            "landing": [name.name, name.schema],
            "mark": self.speaks.table_version(connection, name),
            "references": [reference.to_dict() for reference in plan.references],
        }

    def _make(self, plan: TablePlan, observe: Callable[[Event], None]) -> None:
        def make() -> None:
            for statement in plan.write.before:
                connection.run(statement)
            for number in range(len(plan.write.after)):
                _finish(connection, plan, number, observe)
            for statement in self.speaks.capabilities.durable:
                connection.run(statement)

        with self._connect() as connection:
            _in_short_transactions(connection, make, "Nothing was changed")

    def enforce(self, plan: TablePlan) -> Published:
        """See Sink.enforce."""
        if not plan.references and not plan.write.exists:
            return Published()
        with self._connect() as connection:
            added = _in_short_transactions(
                connection, lambda: add_foreign_keys(connection, plan, last=True), "The rows are in"
            )
            # A replace has built other tables' keys to this one anew.
            unchecked = self.speaks.unchecked(connection, plan.target.name) if plan.write.exists else []
            return replace(added, unenforced=(*added.unenforced, *unchecked))

    def finish(self, plans: Sequence[TablePlan], partial: Collection[TableName]) -> None:
        """See Sink.finish."""
        transfer = plans[0].transfer.id
        with self._connect() as connection, _transaction(connection):
            for statement in self.speaks.capabilities.durable:
                connection.run(statement)
            for tables in {plan.journal for plan in plans if plan.journal}:
                journal = Journal(connection, tables)
                journal.finish(transfer, {str(name) for name in partial})
                if self.speaks.capabilities.drops_journal:
                    journal.drop_if_idle()


def _finish(
    connection: AdbcConnection, plan: TablePlan, number: int, observe: Callable[[Event], None]
) -> None:
    """Run one of the statements that finish the table, and tell beforehand: an index may take long."""
    statement, total = plan.write.after[number], len(plan.write.after)
    table = str(plan.source.name)
    observe(Publishing(table=table, statement=statement, number=number + 1, total=total))
    connection.run(statement)


def _with_write_table_state(connection: AdbcConnection, found: Unfinished) -> Unfinished:
    """With what became of the table that its rows went into."""
    if not found.has_write_table:
        return found
    return replace(found, write_table_state=connection.dialect.write_table_state(connection, found))


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
    connection.run(connection.dialect.capabilities.begin_write)
    try:
        yield
        connection.run("commit")
    except BaseException:
        with suppress(ArrowsyncError):  # the connection is gone, and the transaction with it
            connection.run("rollback")
        raise


def _in_short_transactions(connection: AdbcConnection, work: Callable[[], T], hint: str) -> T:
    """`work()` in a transaction; in as many as it takes to get the locks that keep others out."""

    def once() -> T:
        with _transaction(connection):
            for statement in connection.dialect.capabilities.short_waits:
                connection.run(statement)
            return work()

    with connection.over_tries():
        return in_short_tries(once, hint=hint)
