"""The signal to stop wakes, cancels, and travels from parent to child only."""

import threading

import pytest

from arrowsync.engine.cancellation import Cancellation, Cancelled


def test_a_parent_stops_its_children_but_not_the_other_way_round() -> None:
    parent = Cancellation()
    one, other = Cancellation(parent), Cancellation(parent)
    one.set()
    assert (parent.is_set(), other.is_set()) == (False, False)
    parent.set()
    assert other.is_set()


def test_a_child_of_a_stopped_parent_is_stopped() -> None:
    parent = Cancellation()
    parent.set()
    with pytest.raises(Cancelled):
        Cancellation(parent).check()


def test_callbacks_run_while_inside_and_never_after() -> None:
    calls: list[str] = []
    cancellation = Cancellation()
    with cancellation.calling(lambda: calls.append("left")):
        pass
    with cancellation.calling(lambda: calls.append("inside")):
        cancellation.set()
        cancellation.set()
    with cancellation.calling(lambda: calls.append("late")):
        pass
    assert calls == ["inside", "late"]


def test_a_waiter_wakes_at_once() -> None:
    cancellation = Cancellation()
    threading.Timer(0.05, cancellation.set).start()
    assert cancellation.wait(60)
