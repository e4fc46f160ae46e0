"""The source as all tables of a run see it: one snapshot, and what each table was just before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from arrowsync.core.contracts import Source
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.core.receipts import Receipt
from arrowsync.engine.cancellation import Cancellation
from arrowsync.engine.retry import patiently
from arrowsync.engine.type_sampling import types


class SourceSnapshot:
    """The source's snapshot, and how each table was just before; taken anew when its session has died.

    `locks`: whether DDL of others shall wait meanwhile, where the source has such locks.
    """

    def __init__(
        self,
        plans: Sequence[TablePlan],
        source: Source,
        readers: int,
        cancellation: Cancellation,
        *,
        locks: bool,
    ) -> None:
        self._plans = plans
        self._source = source
        self._readers = readers
        self._cancellation = cancellation
        self._locks = locks
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._plans:
            self.renew()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def renew(self) -> None:
        self._stack.close()
        patiently(self._take, self._plans[0].transfer.retry, self._cancellation)

    def _take(self) -> None:
        self._moment = datetime.now(UTC)
        plans = [plan for plan in self._plans if plan.partitions]
        states = self._source.states(plans)
        self._states = dict(zip((plan.source.name for plan in plans), states, strict=True))
        locking = plans if self._locks else ()
        self._snapshot = self._stack.enter_context(self._source.snapshot(self._readers, locking=locking))

    def of(self, plan: TablePlan) -> Snapshot:
        """The snapshot for readers of that one table."""
        return replace(self._snapshot, state=self._states.get(plan.source.name))

    def source_state(self, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What the table was just before the snapshot."""
        return dict(self._states.get(plan.source.name, {}))

    def has_shape(self, plan: TablePlan, then: Mapping[str, Any]) -> bool:  # Any: JSON
        """Whether the table has the columns that it had then."""
        return then.get("shape") == self.source_state(plan).get("shape")

    def goes_with(
        self, plan: TablePlan, receipts: Sequence[Receipt], then: Mapping[str, Any]
    ) -> bool:  # Any: JSON
        """Whether rows that are still to be read go together with those that were read then."""
        if not self.has_shape(plan, then):
            return False
        if not receipts or len(receipts) == len(plan.partitions):
            return True
        snapshot = self.of(plan)
        return patiently(
            lambda: self._source.unchanged(plan, receipts, then, snapshot),
            plan.transfer.retry,
            self._cancellation,
        )

    def state(self, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What the journal remembers of the source."""
        sampled = {"presumed": types(plan.columns)} if plan.sampled else {}
        return {
            "source": self.source_state(plan),
            "moment": self._moment.isoformat(timespec="seconds"),
            "turn": plan.fencing_token,
            "secret": f"{plan.secret:032x}",  # so that the receipts of several runs add up
            **sampled,
        }

    def warnings(self, plan: TablePlan) -> tuple[str, ...]:
        """What is to be said of how the table is being read."""
        found = self._snapshot.warnings.get(plan.source.name)
        return (found,) if found else ()
