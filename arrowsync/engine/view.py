"""The source as all tables of a run see it: one snapshot, and what each table was just before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

from arrowsync.core.contracts import Source
from arrowsync.core.plan import TablePlan
from arrowsync.engine.designs import types
from arrowsync.engine.retry import patiently
from arrowsync.engine.stop import Stop


class View:
    """The source's snapshot, and how each table was just before; taken anew when its session has died."""

    def __init__(self, plans: Sequence[TablePlan], source: Source, readers: int, stop: Stop) -> None:
        self._plans = plans
        self._source = source
        self._readers = readers
        self._stop = stop
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
        states = self._source.states([plan.source for plan in self._plans])
        self._states = dict(zip((plan.source.name for plan in self._plans), states, strict=True))
        self.snapshot = self._stack.enter_context(self._source.snapshot(self._readers))

    def state(self, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """What the journal remembers of the source."""
        presumed = {"presumed": types(plan.columns)} if plan.presumed else {}
        return {
            "source": dict(self._states[plan.source.name]),
            "turn": plan.turn,
            "secret": f"{plan.secret:032x}",  # so that the receipts of several runs add up
            **presumed,
        }
