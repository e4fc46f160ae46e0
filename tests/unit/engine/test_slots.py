"""Slots: how many at once, releasing one early, and being cancelled while waiting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.slots import Slots


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_never_more_hold_a_slot_than_may_and_all_get_one(at_once: int) -> None:
    slots, lock, now, most = Slots(at_once), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with slots.take(Cancellation()):
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


def test_a_slot_that_was_released_early_is_not_released_twice() -> None:
    slots = Slots(1)
    with slots.take(Cancellation()) as pass_on:
        assert not slots.is_free()
        pass_on()
        pass_on()
        assert slots.is_free()
        with slots.take(Cancellation()):
            assert not slots.is_free()
    with slots.take(Cancellation()):
        assert not slots.is_free()


def test_an_error_releases_the_slot() -> None:
    slots = Slots(1)
    with pytest.raises(ValueError, match="no"), slots.take(Cancellation()):
        raise ValueError("no")
    assert slots.is_free()


def test_who_is_cancelled_while_waiting_does_not_keep_the_slot() -> None:
    slots, cancellation = Slots(1), Cancellation()
    cancellation.set()
    with pytest.raises(Cancelled), slots.take(cancellation):
        raise AssertionError("it had its turn")
    assert slots.is_free()
