"""The tracker: who waits, who goes on, and that every byte leased comes back."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.table import Widths
from arrowsync.core.units import MiB
from arrowsync.engine.cancellation import Cancellation, Cancelled
from arrowsync.engine.memory import (
    Lease,
    MemoryTracker,
    ProcessReadings,
    batch_ceiling,
    concurrency_for,
    process_tracker,
    readers_for,
    relieve,
    slice_bytes,
)
from arrowsync.errors import MemoryLimitError
from tests.fakes import FakeClock, FakeReadings

LIMIT = 100 * MiB


def wide(mebibytes: int) -> Widths:
    """Of a table with one row so wide."""
    return Widths(((mebibytes * MiB, 1),))


def tracker(
    readings: FakeReadings | None = None,
    relieve: Callable[[], None] = lambda: None,
    clock: Callable[[], float] | None = None,
) -> MemoryTracker:
    clock = clock or FakeClock()
    return MemoryTracker(LIMIT, readings=readings or FakeReadings(), relieve=relieve, clock=clock)


class Waiter:
    """A reader that asks for memory on a thread of its own."""

    def __init__(
        self, tracker: MemoryTracker, nbytes: int, cancellation: Cancellation, owner: object
    ) -> None:
        self.tracker = tracker
        self.lease: Lease | None = None
        self.stopped = False
        self._owner = owner
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(nbytes, cancellation))
        self._thread.start()

    def _run(self, nbytes: int, cancellation: Cancellation) -> None:
        try:
            self.lease = self.tracker.acquire(nbytes, cancellation, owner=self._owner)
        except Cancelled:
            self.stopped = True
        finally:
            self._done.set()

    def waits(self) -> bool:
        """Whether it still waits after several looks at the readings."""
        return not self._done.wait(0.2)

    def ends(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()


@contextmanager
def waiting(
    tracker: MemoryTracker, nbytes: int, owner: object = None
) -> Iterator[tuple[Waiter, Cancellation]]:
    """A waiter that ends with the test, however that ends."""
    with Cancellation() as cancellation:
        waiter = Waiter(tracker, nbytes, cancellation, owner)
        try:
            yield waiter, cancellation
        finally:
            cancellation.set()
            tracker.wake()
            assert waiter.ends()


def test_leases_up_to_four_fifths_of_the_limit_do_not_wait() -> None:
    memory = tracker()
    leases = [memory.acquire(10 * MiB, Cancellation()) for _ in range(8)]
    assert (memory.leased, memory.pauses) == (80 * MiB, 0)
    assert all(lease.waited_seconds == 0 for lease in leases)


def test_a_reader_above_80_percent_waits_until_below_60() -> None:
    memory = tracker()
    first, second = memory.acquire(40 * MiB, Cancellation()), memory.acquire(30 * MiB, Cancellation())
    third = memory.acquire(10 * MiB, Cancellation())
    with waiting(memory, 20 * MiB) as (waiter, _):
        assert waiter.waits()
        third.release()
        assert waiter.waits(), "70 % + the 20 it asks for"
        second.release()
        assert waiter.ends()
    assert memory.leased == 60 * MiB
    assert memory.pauses == 1
    first.release()


def test_rss_that_grows_outside_arrow_makes_readers_wait_and_its_fall_lets_them_on() -> None:
    readings = FakeReadings(rss_bytes=500 * MiB)
    memory = tracker(readings)
    lease = memory.acquire(1 * MiB, Cancellation())
    readings.rss_bytes += 81 * MiB
    assert memory.pressure
    with waiting(memory, 1 * MiB) as (waiter, _):
        assert waiter.waits()
        readings.rss_bytes -= 10 * MiB
        assert waiter.waits(), "71 % is not below 60"
        readings.rss_bytes -= 12 * MiB  # and nobody tells the tracker
        assert waiter.ends()
        assert waiter.lease is not None
    lease.release()


def test_the_pause_is_measured() -> None:
    clock = FakeClock()
    memory = tracker(clock=clock)
    lease = memory.acquire(81 * MiB, Cancellation())
    with waiting(memory, 1 * MiB) as (waiter, _):
        assert waiter.waits()
        clock.seconds += 3
        lease.release()
        assert waiter.ends()
        assert waiter.lease is not None
        assert waiter.lease.waited_seconds == 3
    assert (memory.pauses, memory.paused_seconds) == (1, 3)


@pytest.mark.parametrize("nbytes", [1, 99 * MiB, 10 * LIMIT])
def test_one_batch_is_always_admitted_whatever_others_use(nbytes: int) -> None:
    readings = FakeReadings()
    memory = tracker(readings)
    readings.rss_bytes = readings.pool_bytes = 10 * LIMIT
    for _ in range(3):
        with memory.acquire(nbytes, Cancellation()):
            assert memory.leased == nbytes
    assert memory.pauses == 0


def test_growth_that_is_not_ours_slows_to_one_batch_at_a_time() -> None:
    readings = FakeReadings()
    memory = tracker(readings)
    readings.rss_bytes = 10 * LIMIT
    lease = memory.acquire(1, Cancellation())
    with waiting(memory, 1) as (waiter, _):
        assert waiter.waits()
        lease.release()
        assert waiter.ends()
        assert waiter.lease is not None


def test_nobody_waits_for_his_first_batch_whatever_others_hold_or_wait_for() -> None:
    """Who holds them may be the one who waits: a copy whose source is a stream in this process."""
    readings = FakeReadings()
    memory = tracker(readings)
    readings.rss_bytes = 10 * LIMIT
    held = memory.acquire(1, Cancellation(), owner="stream")
    with waiting(memory, 1, owner="stream") as (stream, _):
        assert stream.waits()
        with memory.acquire(1, Cancellation(), owner="copy"), waiting(memory, 1, owner="copy") as (second, _):
            assert second.waits(), "one at a time"
    held.release()


def test_readers_are_served_in_turn() -> None:
    memory = tracker()
    lease = memory.acquire(75 * MiB, Cancellation())
    with waiting(memory, 50 * MiB) as (large, _):
        assert large.waits()
        with waiting(memory, 1) as (small, _):
            assert small.waits(), "it would fit, but the large one would starve behind small ones"
            lease.release()
            assert large.ends()
            assert small.ends()
            assert small.lease is not None


def test_stop_wakes_whoever_waits() -> None:
    memory = tracker()
    lease = memory.acquire(90 * MiB, Cancellation())
    with waiting(memory, 1) as (waiter, cancellation):
        assert waiter.waits()
        cancellation.set()
        memory.wake()
        assert waiter.ends()
        assert waiter.stopped
    lease.release()
    assert memory.leased == 0
    memory.acquire(1, Cancellation()).release()


def test_nothing_is_leased_to_a_reader_that_is_stopped_already() -> None:
    memory, cancellation = tracker(), Cancellation()
    cancellation.set()
    with pytest.raises(Cancelled):
        memory.acquire(1, cancellation)
    assert memory.leased == 0


@given(st.lists(st.tuples(st.sampled_from(["acquire", "release", "again"]), st.integers(0, 9))))
def test_leased_bytes_are_those_of_the_leases_held_and_return_to_0(steps: list[tuple[str, int]]) -> None:
    memory = tracker()
    held: list[tuple[int, Lease]] = []  # with its size
    gone: list[Lease] = []
    for number, (step, choice) in enumerate(steps, start=1):
        if step == "acquire":
            held.append((number, memory.acquire(number, Cancellation())))
        elif step == "again" and gone:
            gone[choice % len(gone)].release()
        elif held and step == "release":
            _, lease = held.pop(choice % len(held))
            lease.release()
            gone.append(lease)
        assert memory.leased == sum(size for size, _ in held)
    for _, lease in held:
        lease.release()
    assert memory.leased == 0


@pytest.mark.parametrize("end", ["success", "failure", "stop"])
def test_leased_bytes_return_to_0_however_the_pipes_end(end: str) -> None:
    memory = tracker()
    with Cancellation() as cancellation:

        def pipe() -> None:
            with suppress(Cancelled, ZeroDivisionError):
                for number in range(200):
                    with memory.acquire(30 * MiB, cancellation):
                        cancellation.wait(0.0005)  # long enough for the others to want theirs
                        if number == 100 and end == "failure":
                            raise ZeroDivisionError
                        if number == 100 and end == "stop":
                            cancellation.set()
                            memory.wake()

        threads = [threading.Thread(target=pipe) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert memory.leased == 0
    assert memory.pauses > 0


def test_crossing_80_percent_gives_memory_back_at_most_once_a_second() -> None:
    clock, calls = FakeClock(), []
    readings = FakeReadings()
    memory = tracker(readings, relieve=lambda: calls.append(clock.seconds), clock=clock)
    memory.acquire(1, Cancellation()).release()
    assert calls == []
    readings.rss_bytes = 81 * MiB
    for _ in range(3):
        memory.acquire(1, Cancellation()).release()
    assert calls == [0]
    clock.seconds = 1.5
    memory.acquire(1, Cancellation()).release()
    assert calls == [0, 1.5]


def test_a_relief_that_takes_long_is_run_more_seldom() -> None:
    clock, calls = FakeClock(), []
    readings = FakeReadings()

    def relieve() -> None:
        calls.append(clock.seconds)
        clock.seconds += 2

    memory = tracker(readings, relieve, clock)
    readings.rss_bytes = 81 * MiB
    for _ in range(30):
        memory.acquire(1, Cancellation()).release()
        clock.seconds += 1
    assert calls == [0, 22]


def test_leases_are_given_back_while_memory_is_being_relieved() -> None:
    memory = MemoryTracker(LIMIT, readings=FakeReadings(), relieve=lambda: release_elsewhere())
    lease = memory.acquire(90 * MiB, Cancellation())

    def release_elsewhere() -> None:
        thread = threading.Thread(target=lease.release)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    with waiting(memory, 1 * MiB) as (waiter, _):
        assert waiter.ends()
        assert waiter.lease is not None
    assert memory.leased == 1 * MiB


def test_used_is_the_largest_of_pool_rss_and_leases() -> None:
    readings = FakeReadings(rss_bytes=1_000, pool_bytes=500)
    memory = tracker(readings)
    assert memory.used == 0
    readings.rss_bytes += 10
    assert memory.used == 10
    readings.pool_bytes += 20
    assert memory.used == 20
    with memory.acquire(30, Cancellation()):
        assert memory.used == 30


def test_a_process_that_shrinks_uses_nothing() -> None:
    readings = FakeReadings(rss_bytes=1_000)
    memory = tracker(readings)
    readings.rss_bytes = 10
    assert (memory.used, memory.peak) == (0, 0)


def test_drivers_and_connections_count_in_the_peak_but_do_not_pause() -> None:
    readings = FakeReadings(rss_bytes=100 * MiB)
    memory = tracker(readings)
    readings.rss_bytes += 30 * MiB
    memory.rebase()
    readings.rss_bytes += 70 * MiB
    assert memory.used == 70 * MiB
    assert memory.peak == 100 * MiB


def test_only_the_first_rebase_counts() -> None:
    readings = FakeReadings()
    memory = tracker(readings)
    memory.rebase()
    readings.rss_bytes = 70 * MiB
    memory.rebase()
    assert memory.used == 70 * MiB


def test_the_peak_knows_what_came_and_went_between_two_readings() -> None:
    readings = FakeReadings(rss_bytes=100 * MiB, peak_bytes=300 * MiB)
    memory = tracker(readings)
    readings.rss_bytes = 110 * MiB
    assert memory.peak == 10 * MiB, "the older peak of 300 is not ours"
    readings.peak_bytes = 310 * MiB
    assert memory.peak == 210 * MiB


@given(limit=st.integers(64 * MiB, 64 * 1024 * MiB), wanted=st.integers(1, 64))
def test_pipes_and_their_batches_fit_the_limit(limit: int, wanted: int) -> None:
    pipes = concurrency_for(limit, wanted)
    ceiling = batch_ceiling(limit, pipes)
    assert 1 <= pipes <= wanted
    assert ceiling >= 1 * MiB
    assert pipes * (25 * MiB + 12 * ceiling) <= limit


def test_pipes_are_reduced_before_batches_fall_under_1_mib() -> None:
    assert concurrency_for(64 * MiB, 8) == 1
    assert concurrency_for(512 * MiB, 8) == 8
    assert concurrency_for(512 * MiB, 100) == 13
    assert batch_ceiling(512 * MiB, 13) < 2 * MiB


@pytest.mark.parametrize(
    ("limit", "readers", "slice"), [(64, 1, 1), (128, 1, 2), (192, 2, 3), (512, 5, 8), (4096, 8, 8)]
)
def test_readers_and_what_they_hold_ahead_are_less_where_memory_is(
    limit: int, readers: int, slice: int
) -> None:
    assert readers_for(limit * MiB, 8) == readers
    assert slice_bytes(limit * MiB) == slice * MiB


def test_wide_rows_leave_room_for_fewer_readers() -> None:
    assert readers_for(512 * MiB, 8, wide(64)) == 1


def test_a_row_that_cannot_be_copied_inside_the_limit_is_an_error_that_names_it() -> None:
    memory = MemoryTracker(512 * MiB, readings=FakeReadings())
    memory.check_row(64 * MiB, "id = 5")
    with pytest.raises(MemoryLimitError, match=r"128 MiB does not fit .*512 MiB \(row id = 5\).*921 MiB"):
        memory.check_row(128 * MiB, "id = 5")
    with pytest.raises(MemoryLimitError):
        tracker().check_row(64 * MiB, None)


def test_a_table_that_no_pipe_can_read_inside_the_limit_is_an_error_that_names_the_column() -> None:
    memory = MemoryTracker(64 * MiB, readings=FakeReadings())
    memory.check(Widths((), held=37 * MiB, holder="body"))
    with pytest.raises(
        MemoryLimitError, match=r"holding 71.* MiB of dictionaries, .*64 MiB \(column 'body'\).*120 MiB"
    ):
        memory.check(Widths((), held=71 * MiB, holder="body"))
    with pytest.raises(MemoryLimitError, match=r"a row of 64.* MiB .*\(row id = 5\)"):
        memory.check(Widths(((64 * MiB, 1),), row="id = 5"))


def test_what_readers_hold_leaves_room_for_fewer_pipes_and_smaller_batches() -> None:
    held = [Widths((), held=each * MiB) for each in (0, 64, 128, 512)]
    assert [concurrency_for(512 * MiB, 8, each) for each in held] == [8, 5, 3, 1]
    ceilings = [batch_ceiling(512 * MiB, 2, each) for each in held]
    assert ceilings == sorted(ceilings, reverse=True)
    assert ceilings[0] > ceilings[-1] == 1 * MiB


def test_wide_rows_leave_room_for_fewer_pipes_and_smaller_batches() -> None:
    assert [concurrency_for(512 * MiB, 4, wide(widest)) for widest in (1, 16, 32, 64, 128)] == [4, 3, 2, 1, 1]
    assert batch_ceiling(512 * MiB, 1, wide(64)) < batch_ceiling(512 * MiB, 1)
    assert batch_ceiling(64 * MiB, 1, wide(64)) == 1 * MiB


def test_transfers_that_run_at_once_share_a_tracker_and_the_smallest_limit() -> None:
    with process_tracker(512 * MiB) as first:
        with process_tracker(64 * MiB) as second:
            assert second is first
            assert first.limit == 64 * MiB
        assert first.limit == 512 * MiB
    with process_tracker(256 * MiB) as next_one:
        assert next_one is not first
        assert next_one.limit == 256 * MiB
    assert first.limit == 512 * MiB


def test_a_transfer_uses_malloc_which_gives_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    before = pa.default_memory_pool()
    pa.set_memory_pool(usual := pa.mimalloc_memory_pool())
    try:
        with process_tracker(64 * MiB), process_tracker(512 * MiB):
            assert pa.default_memory_pool().backend_name == "system"
        assert pa.default_memory_pool().backend_name == usual.backend_name
        monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", usual.backend_name)
        with process_tracker(64 * MiB):
            assert pa.default_memory_pool().backend_name == usual.backend_name
    finally:
        pa.set_memory_pool(before)


def test_the_process_is_read_in_bytes() -> None:
    relieve()  # or what earlier tests left free is used again, and RSS does not grow
    readings = ProcessReadings()
    pool, rss = readings.pool(), readings.rss()
    ballast = pa.array(bytes(30 * MiB) for _ in range(1))
    assert readings.pool() - pool >= 30 * MiB
    assert readings.rss() - rss >= 25 * MiB
    assert rss * 0.9 < readings.peak() < rss * 100
    del ballast


def test_relief_collects_what_only_cycles_keep() -> None:
    class Cycle:
        pass

    gc.disable()
    try:
        cycle = Cycle()
        cycle.itself = cycle  # type: ignore[attr-defined]  # any object that refers to itself
        gone = weakref.ref(cycle)
        del cycle
        assert gone() is not None
        relieve()
        assert gone() is None
    finally:
        gc.enable()
