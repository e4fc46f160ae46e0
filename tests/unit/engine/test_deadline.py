"""The clock runs only while a driver has control; what is late is cancelled."""

import threading
import time
from collections.abc import Iterator

import pytest

from arrowsync.engine.deadline import Deadline
from arrowsync.errors import BatchTimeout


def test_a_late_call_is_cancelled_and_its_error_becomes_a_timeout() -> None:
    cancelled = threading.Event()

    def call() -> None:
        with deadline.running():
            assert cancelled.wait(10)
            raise OSError("the driver's answer to the cancel")

    with Deadline(0.05, cancelled.set) as deadline, pytest.raises(BatchTimeout, match=r"0\.05 s"):
        call()


def test_an_error_in_time_stays_what_it_is() -> None:
    with Deadline(60, pytest.fail) as deadline, pytest.raises(OSError, match="own"), deadline.running():
        raise OSError("its own")


def test_time_between_calls_does_not_count() -> None:
    with Deadline(1, pytest.fail) as deadline:  # a busy machine takes its time with what takes none
        for _ in range(3):
            with deadline.running():
                pass
            time.sleep(0.4)


def test_the_first_item_may_take_its_time_and_the_others_may_not() -> None:
    cancelled = threading.Event()

    def slow() -> Iterator[int]:
        time.sleep(0.1)
        yield 1
        cancelled.wait(10)
        raise OSError("cancelled")

    with Deadline(0.05, cancelled.set) as deadline:
        items = deadline.timing(slow())
        assert next(items) == 1
        with pytest.raises(BatchTimeout):
            next(items)


def test_no_thread_outlives_it() -> None:
    before = set(threading.enumerate())
    with Deadline(60, pytest.fail) as deadline:
        deadline.start()
    assert set(threading.enumerate()) <= before
