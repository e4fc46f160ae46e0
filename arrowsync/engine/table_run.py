"""One table's way through a run: begun or resumed, copied, started over where needed, checked, published."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from secrets import randbits
from typing import TypeVar
from uuid import uuid4

from arrowsync.core.contracts import Lock, Sink, Source
from arrowsync.core.events import Retried, TableFinished, TableStarted
from arrowsync.core.plan import RowsHeld, TablePlan
from arrowsync.core.receipts import Fingerprint, Partition, Receipt, Unfinished
from arrowsync.core.transfer import Verify
from arrowsync.engine import quarantine, verify
from arrowsync.engine.cancellation import Cancelled
from arrowsync.engine.memory import widths_of
from arrowsync.engine.pipe import CopyContext
from arrowsync.engine.planner import cut
from arrowsync.engine.replacing import rows_held, rows_replaced, told
from arrowsync.engine.retry import patiently
from arrowsync.engine.snapshot import SourceSnapshot
from arrowsync.engine.type_sampling import certain
from arrowsync.engine.workers import Workers
from arrowsync.errors import ArrowsyncError, DataError, Refused, ResumeError, SnapshotLost, TableChanged

T = TypeVar("T")
AGAIN = "The same command looks again: it goes on, or starts the table over"
_LATER = "it changed before it was read: its rows are of a later moment than those of the other tables"


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one table. `errors` is empty when every row is in and checked."""

    plan: TablePlan
    receipts: tuple[Receipt, ...] = ()
    resumed: tuple[Receipt, ...] = ()
    errors: tuple[ArrowsyncError, ...] = ()
    warnings: tuple[str, ...] = ()
    unenforced: tuple[str, ...] = ()  # a sentence for each foreign key that rows break
    verified: str | None = None
    seconds: float = 0.0

    @property
    def fingerprint(self) -> Fingerprint:
        return sum((receipt.fingerprint for receipt in self.receipts), Fingerprint())

    @property
    def status(self) -> str:
        """Of a table without errors."""
        kept_aside = any(receipt.quarantined for receipt in self.receipts)
        return "partial" if kept_aside or self.unenforced else "complete"

    @property
    def rows(self) -> int:
        return sum(receipt.rows for receipt in self.receipts)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A table that is ready for its rows: the plan as it is now, and what is in already."""

    plan: TablePlan
    receipts: tuple[Receipt, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRun:
    """One table's way through the steps, and what they all need."""

    plan: TablePlan
    workers: Workers
    source_snapshot: SourceSnapshot
    lock: Lock | None

    @property
    def name(self) -> str:
        return str(self.plan.source.name)

    @property
    def source(self) -> Source:
        return self.workers.source

    @property
    def sink(self) -> Sink:
        return self.workers.sink

    @property
    def context(self) -> CopyContext:
        return self.workers.context

    def outcome(self) -> Copied:
        started = time.monotonic()
        self.context.cancellation.check()
        try:
            with self.context.reporting_locks(self.name):
                outcome = self._outcome()
        except Cancelled:
            raise
        except ArrowsyncError as error:
            outcome = Copied(self.plan, errors=(error.at(table=self.name),))
        outcome = replace(outcome, seconds=time.monotonic() - started)
        status = "failed" if outcome.errors else outcome.status
        self.context.observe(
            TableFinished(table=self.name, status=status, rows=outcome.rows, seconds=outcome.seconds)
        )
        return outcome

    def _patiently(self, work: Callable[[], T]) -> T:
        return patiently(work, self.plan.transfer.retry, self.context.cancellation)

    def _outcome(self) -> Copied:
        if self.plan.resumes is not None and self.plan.is_finished:
            return self._kept(self.plan.resumes)
        return self._locked(self.lock) if self.lock and self.plan.journal else self._copy()

    def _kept(self, finished: Unfinished) -> Copied:
        """The table as an earlier run of this transfer has finished it."""
        plan, receipts = self.plan, finished.receipts
        self.context.observe(TableStarted(table=self.name, plan=plan, resumed=receipts))
        return Copied(plan, receipts, receipts, warnings=plan.warnings, verified=finished.state["verified"])

    def _locked(self, lock: Lock) -> Copied:
        with ExitStack() as stack:
            name = self.plan.target.name
            waited = self._patiently(lambda: stack.enter_context(lock.table(name)))
            if waited and self.plan.resumes is None:
                raise ResumeError(
                    "another run was copying into this table when this one was planned",
                    hint="Run the same command again if it is still to be done",
                )
            return self._copy(lock)

    def _copy(self, lock: Lock | None = None) -> Copied:
        self.context.tracker.check(widths_of(self.plan))
        # Without a journal the rows' one transaction swaps the table.
        replaced = None if self.plan.journal else self._patiently(lambda: rows_held(self.plan, self.sink))
        outcome = self._start(self._begin())
        for _ in range(1, self.plan.transfer.retry.attempts):
            if not _is_to_start_over(outcome):
                break
            outcome = self._started_over(outcome.plan, "the source changed while it was copied")
        if outcome.plan.sampled and outcome.errors:
            outcome = self._made_certain(outcome)
        if outcome.errors:
            return outcome
        if lock is not None:
            self._patiently(lambda: lock.renew(self.plan.target.name))
        return self._finish(outcome, replaced)

    def _start(self, begun: _Begun) -> Copied:
        plan, resumed = begun.plan, begun.receipts
        self.context.observe(TableStarted(table=self.name, plan=plan, resumed=resumed))
        return self._go_on(Copied(plan, resumed, resumed, warnings=begun.warnings))

    def _go_on(self, begun: Copied) -> Copied:
        """The table with the partitions that it lacked, as far as they could be copied."""
        plan, receipts, warnings = begun.plan, begun.receipts, begun.warnings
        fruitless = 0
        for times in count(1):
            further, errors = self.workers.copy(plan, receipts, self.source_snapshot.of(plan))
            receipts = (*receipts, *further)
            fruitless = 0 if further else fruitless + 1
            lost = next((error for error in errors if isinstance(error, SnapshotLost)), None)
            if lost is None or fruitless >= plan.transfer.retry.attempts:
                break
            if not self._look_again(lost, plan, receipts):
                break
            # One for each snapshot, of which all partitions that are left have lost sight.
            self._tell_again(lost, times)
            if isinstance(lost, TableChanged) and _LATER not in warnings:
                warnings = (*warnings, _LATER)
        return replace(begun, receipts=receipts, errors=tuple(errors), warnings=warnings)

    def _tell_again(self, lost: SnapshotLost, times: int) -> None:
        self.context.observe(
            Retried(
                table=self.name,
                partition=lost.partition or 0,
                attempt=times,
                wait_seconds=0.0,
                error=str(lost),
            )
        )

    def _made_certain(self, failed: Copied) -> Copied:
        """The table with the types that all its values allow, where it failed because of sampled ones.

        If the exact types equal the sampled ones, committed partitions stay and only the read forms change.
        """
        refused = any(isinstance(error, Refused) for error in failed.errors)
        if not refused and not any(isinstance(error, DataError) for error in failed.errors):
            return failed
        plan = self._patiently(lambda: certain(failed.plan, self.source, self.sink))
        plan = replace(plan, fencing_token=uuid4().hex)
        if others := _contradicted(failed.plan, plan):
            return self._started_over(plan, others)
        if not refused:
            return failed  # no types help
        self._noted(plan)
        return self._go_on(replace(failed, plan=plan))

    def _started_over(self, plan: TablePlan, why: str) -> Copied:
        quarantine.forget(plan)
        return self._start(self._fresh(self._over(plan), f"started over: {why}"))

    def _over(self, plan: TablePlan) -> TablePlan:
        """The plan for another run, which gives up what this one has left."""
        assert plan.journal is not None, "without one a table is one transaction, of which nothing stays"
        names, transfer = [plan.target.name], plan.transfer
        found = self._patiently(lambda: self.sink.unfinished(transfer.id, names, transfer.journal or ""))
        mine = tuple(each for each in found if each.run == plan.run)
        return replace(plan, discards=mine, run=uuid4().hex)

    def _begin(self) -> _Begun:
        """Make the table, or see whether what an earlier run has left can stay."""
        plan = replace(self.plan, fencing_token=uuid4().hex)
        if plan.resumes is None:
            return self._fresh(plan)
        receipts = self._patiently(lambda: self.sink.prepare(plan, None))
        then = plan.resumes.state["source"]
        if not self.source_snapshot.goes_with(plan, receipts, then):
            if (
                plan.transfer.not_consistent
                and self._keyed(plan)
                and self.source_snapshot.has_shape(plan, then)
            ):
                warning = "the source may have changed since the first run: its rows are of different moments"
                return self._noted(plan, (warning,))
            if plan.write.adds and receipts:
                raise self._inconsistent(plan)
            over = replace(plan, resumes=None, discards=(plan.resumes,), run=uuid4().hex)
            over = replace(over, partitions=self._cut_anew(over))
            return self._fresh(over, "started over: the source may have changed since the first run")
        return self._noted(plan)

    def _cut_anew(self, plan: TablePlan) -> tuple[Partition, ...]:
        """Bounds that the table knows: those of an earlier run may be of a column that is gone."""
        if len(plan.partitions) == 1:
            return (Partition(0),)
        return self._patiently(lambda: cut(plan.transfer, plan.source, self.source, self.sink))

    def _fresh(self, plan: TablePlan, *warnings: str) -> _Begun:
        plan = replace(plan, secret=randbits(128))  # a plan may run twice
        quarantine.set_aside(plan)
        receipts = self._patiently(lambda: self.sink.prepare(plan, self.source_snapshot.state(plan)))
        return _Begun(plan, receipts, (*plan.warnings, *self.source_snapshot.warnings(plan), *warnings))

    def _noted(self, plan: TablePlan, warnings: tuple[str, ...] = ()) -> _Begun:
        """Go on with the run, whose further rows are of the snapshot there is now."""
        receipts = self._patiently(lambda: self.sink.prepare(plan, self.source_snapshot.state(plan)))
        return _Begun(plan, receipts, (*plan.warnings, *self.source_snapshot.warnings(plan), *warnings))

    def _look_again(self, lost: SnapshotLost, plan: TablePlan, receipts: Sequence[Receipt]) -> bool:
        """The snapshot has died, or no longer shows the table: go on with a new one if it shows the same.

        False where the table has to be started over. Raises ResumeError where it cannot be.
        """
        before = self.source_snapshot.source_state(plan)
        self.source_snapshot.renew()
        if self.source_snapshot.goes_with(plan, receipts, before):
            self._patiently(lambda: self.sink.prepare(plan, self.source_snapshot.state(plan)))
            return True
        if not self.source_snapshot.has_shape(plan, before):
            raise ResumeError(
                "the table's columns have changed while it was copied",
                hint="The same command plans the table anew",
            )
        if isinstance(lost, TableChanged) and not plan.write.adds:
            return False
        raise ResumeError(
            "the source's snapshot was lost, and the table may have changed since"
            if not isinstance(lost, TableChanged)
            else f"{lost.message}; the rows that are in are older",
            hint=". ".join(filter(None, [AGAIN, lost.hint])),
        )

    @staticmethod
    def _keyed(plan: TablePlan) -> bool:
        return all(partition.by == "key" for partition in plan.partitions)

    def _inconsistent(self, plan: TablePlan) -> ResumeError:
        return ResumeError(
            "the source may have changed since the first run, whose rows are in the table",
            hint="Go on with --not-consistent (not_consistent=True), or remove them and give --restart"
            if self._keyed(plan)
            else "Remove them, then start over with --restart",
        )

    def _finish(self, outcome: Copied, replaced: RowsHeld | None) -> Copied:
        """Check what is in the written table, then publish it: what is wrong is never swapped in."""
        plan, checked = outcome.plan, None
        try:
            if plan.transfer.verify is not Verify.OFF and plan.partitions:
                if plan.transfer.verify is Verify.HASH and len(plan.partitions) > 1:
                    outcome = self._counted(outcome)
                checked = self._patiently(lambda: self._check(outcome))
            if plan.journal is not None:
                replaced = self._patiently(lambda: rows_replaced(plan, outcome.rows, self.sink))
        except ArrowsyncError as error:
            return replace(outcome, errors=(error.at(table=self.name),))
        noted = {"outcome": outcome.status, "verified": checked and checked.verified}
        published = self._patiently(
            lambda: self.sink.publish(plan, outcome.receipts, noted, self.context.observe)
        )
        return replace(
            outcome,
            verified=checked and checked.verified,
            warnings=(
                *outcome.warnings,
                *(checked.warnings if checked else ()),
                *published.warnings,
                *told(replaced, outcome.rows),
            ),
            unenforced=published.unenforced,
        )

    def _check(self, outcome: Copied) -> verify.Checked:
        # Without a journal the rows' one transaction has published the table, too.
        plan = outcome.plan
        if plan.journal is None:
            plan = replace(plan, write=plan.write.swapped)
        return verify.check_copy(
            plan,
            outcome.receipts,
            self.source,
            self.sink,
            self.source_snapshot.of(plan),
            self.context.cancellation,
        )

    def _counted(self, outcome: Copied) -> Copied:
        """The table, whose rows are as many as the source counts. Raises VerificationError."""
        try:
            if self._patiently(lambda: self._shown(outcome)):
                self._patiently(
                    lambda: verify.check_cover(
                        outcome.plan, outcome.receipts, self.source, self.source_snapshot.of(outcome.plan)
                    )
                )
                return outcome
            warning = "the source may have changed since its rows were read: it was not asked to count them"
        except SnapshotLost:  # with every row in: not worth another copy
            warning = "the snapshot was lost before the source could count its rows"
        return replace(outcome, warnings=(*outcome.warnings, warning))

    def _shown(self, outcome: Copied) -> bool:
        """Whether the snapshot there is now shows the rows that were read, in this run and before it."""
        plan, resumed = outcome.plan, outcome.resumed
        if plan.resumes is None:
            return True
        if plan.transfer.not_consistent:
            return False
        if len(resumed) < len(plan.partitions):
            return True  # or the run would not have gone on
        then = plan.resumes.state["source"]
        return self.source.unchanged(plan, resumed, then, self.source_snapshot.of(plan))


def _is_to_start_over(outcome: Copied) -> bool:
    """Whether DDL has changed the source, and what is in can be given up: appended rows cannot."""
    plan = outcome.plan
    changed = any(isinstance(error, TableChanged) for error in outcome.errors)
    return changed and plan.journal is not None and not plan.write.adds


def _contradicted(sampled: TablePlan, plan: TablePlan) -> str:
    """What the values turned out to be; empty where the types are the sampled ones."""
    return "; ".join(
        f"column {old.source.name!r} holds values that are no {old.target.type}: it is {new.target.type}"
        for old, new in zip(sampled.columns, plan.columns, strict=True)
        if old.target.type != new.target.type
    )
