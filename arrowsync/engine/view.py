"""The source as all tables of a run see it: one snapshot, and what each table was just before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from arrowsync.core.contracts import Source
from arrowsync.core.plan import Snapshot, TablePlan
from arrowsync.engine.designs import types
from arrowsync.engine.retry import patiently
from arrowsync.engine.stop import Stop


class View:
    """The source's snapshot, and how each table was just before; taken anew when its session has died.

    `locks`: whether DDL of others shall wait meanwhile, where the source has such locks.
    """

    def __init__(
        self, plans: Sequence[TablePlan], source: Source, readers: int, stop: Stop, *, locks: bool
    ) -> None:
        self._plans = plans
        self._source = source
        self._readers = readers
        self._stop = stop
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
        patiently(self._take, self._plans[0].transfer.retry, self._stop)

    def _take(self) -> None:
        self._moment = datetime.now(UTC)
        plans = [plan for plan in self._plans if plan.partitions]
        states = self._source.states(plans)
        self._states = dict(zip((plan.source.name for plan in plans), states, strict=True))
        locking = plans if self._locks else ()
        self._snapshot = self._stack.enter_context(self._source.snapshot(self._readers, locking=locking))

    def snapshot(self, plan: TablePlan) -> Snapshot:
        """The snapshot for readers of that one table."""
        return replace(self._snapshot, state=self._states.get(plan.source.name))

    def source_state(self, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What the table was just before the snapshot."""
        return dict(self._states.get(plan.source.name, {}))

    def state(self, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What the journal remembers of the source."""
        presumed = {"presumed": types(plan.columns)} if plan.presumed else {}
        return {
            "source": self.source_state(plan),
            "moment": self._moment.isoformat(timespec="seconds"),
            "turn": plan.turn,
            "secret": f"{plan.secret:032x}",  # so that the receipts of several runs add up
            **presumed,
        }

    def warnings(self, plan: TablePlan) -> tuple[str, ...]:
        """What is to be said of how the table is being read."""
        found = self._snapshot.warnings.get(plan.source.name)
        return (found,) if found else ()
