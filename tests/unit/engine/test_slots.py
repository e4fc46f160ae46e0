"""Slots: how many at once, releasing one early, and being cancelled while waiting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.slots import Slots


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_never_more_have_their_turn_than_may_and_all_get_one(at_once: int) -> None:
    turns, lock, now, most = Slots(at_once), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with turns.take(Cancellation()):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.005)
            with lock:
                now -= 1

    with ThreadPoolExecutor(10) as pool:
        for done in [pool.submit(work) for _ in range(30)]:
            done.result(10)
    assert (now, most) == (0, at_once)


def test_a_turn_that_was_passed_on_early_is_not_given_back_twice() -> None:
    turns = Slots(1)
    with turns.take(Cancellation()) as pass_on:
        assert not turns.is_free()
        pass_on()
        pass_on()
        assert turns.is_free()
        with turns.take(Cancellation()):
            assert not turns.is_free()
    with turns.take(Cancellation()):
        assert not turns.is_free()


def test_an_error_gives_the_turn_back() -> None:
    turns = Slots(1)
    with pytest.raises(ValueError, match="no"), turns.take(Cancellation()):
        raise ValueError("no")
    assert turns.is_free()


def test_who_is_stopped_while_waiting_does_not_keep_the_turn() -> None:
    turns, cancellation = Slots(1), Cancellation()
    cancellation.set()
    with pytest.raises(Cancelled), turns.take(cancellation):
        raise AssertionError("it had its turn")
    assert turns.is_free()
