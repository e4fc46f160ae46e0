"""The signal to stop wakes, cancels, and travels from parent to child only."""

import threading

import pytest

from arrowsync.engine.stop import Stop, Stopped


def test_a_parent_stops_its_children_but_not_the_other_way_round() -> None:
    parent = Stop()
    one, other = Stop(parent), Stop(parent)
    one.set()
    assert (parent.is_set(), other.is_set()) == (False, False)
    parent.set()
    assert other.is_set()


def test_a_child_of_a_stopped_parent_is_stopped() -> None:
    parent = Stop()
    parent.set()
    with pytest.raises(Stopped):
        Stop(parent).check()


def test_callbacks_run_while_inside_and_never_after() -> None:
    calls: list[str] = []
    stop = Stop()
    with stop.calling(lambda: calls.append("left")):
        pass
    with stop.calling(lambda: calls.append("inside")):
        stop.set()
        stop.set()
    with stop.calling(lambda: calls.append("late")):
        pass
    assert calls == ["inside", "late"]


def test_a_waiter_wakes_at_once() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.set).start()
    assert stop.wait(60)
