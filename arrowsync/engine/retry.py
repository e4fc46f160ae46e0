"""Does work again: with a column's next form at once, after a transient error with growing patience."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from arrowsync.core.limits import Retry
from arrowsync.core.plan import TablePlan
from arrowsync.engine.cancellation import Cancellation
from arrowsync.errors import ArrowsyncError, LockHeld, Refused, SchemaError, TransientError

T = TypeVar("T")


def with_next_forms(
    work: Callable[[TablePlan], T], plan: TablePlan, tell: Callable[[Refused], None] = lambda refused: None
) -> T:
    """`work(plan)`, and where a column's form refuses its values, all of it again with the next form.

    Raises SchemaError when no form is left.
    """
    while True:
        try:
            return work(plan)
        except Refused as refused:
            further = plan.without_route(refused.column) if refused.column else None
            if further is None:
                raise _unfit(refused) from refused
            tell(refused)
            plan = further


def _unfit(refused: Refused) -> SchemaError:
    return SchemaError(
        refused.message,
        column=refused.column,
        row=refused.row,
        hint="No form carries these values unchanged: choose a type with cast, or leave the column out",
    )


def with_retries(
    work: Callable[[], T],
    rule: Retry,
    cancellation: Cancellation,
    tell: Callable[[int, float, BaseException], None],
    *,
    besides: tuple[type[ArrowsyncError], ...] = (),
) -> T:
    """`work()`, again after each transient error but `besides`, at most `rule.attempts` times in all.

    Before each wait `tell(attempt, wait_seconds, error)`; the wait ends early when `cancellation` is set.
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and state.next_action is not None:
            tell(state.attempt_number, state.next_action.sleep, error)

    def sleep(seconds: float) -> None:
        cancellation.wait(seconds)

    def may_help(error: BaseException) -> bool:
        # Who has waited for a lock in vain has been patient already.
        in_vain = isinstance(error, (LockHeld, *besides))
        return isinstance(error, TransientError) and not in_vain and not cancellation.is_set()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_help),
        stop=tenacity.stop_after_attempt(rule.attempts),
        # Not wait_exponential_jitter, whose arguments have changed their names from release to release.
        wait=tenacity.wait_exponential(multiplier=rule.first_seconds, max=rule.longest_seconds)
        + tenacity.wait_random(0, rule.first_seconds),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(work)


def patiently(work: Callable[[], T], rule: Retry, cancellation: Cancellation) -> T:
    """What needs a connection beside the partitions', by the partitions' rule."""
    return with_retries(work, rule, cancellation, lambda attempt, seconds, error: None)
