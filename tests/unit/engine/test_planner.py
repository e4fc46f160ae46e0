"""What the planner decides without looking at a database."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.units import MiB
from arrowsync.engine.planner import SMALLEST_SHARE, even_share

SIZE = 128 * MiB


def test_partitions_are_a_multiple_of_the_workers() -> None:
    seven = 7 * SIZE - 1
    assert math.ceil(seven / even_share(SIZE, seven, 2)) == 8
    assert math.ceil(seven / even_share(SIZE, seven, 4)) == 8
    assert math.ceil(seven / even_share(SIZE, seven, 7)) == 7


def test_one_partition_is_shared_where_each_worker_gets_enough() -> None:
    assert even_share(SIZE, 100 * MiB, 2) == 50 * MiB
    assert even_share(SIZE, 100 * MiB, 1) == 100 * MiB
    assert even_share(SIZE, 2 * SMALLEST_SHARE - 2, 2) == SIZE


def test_a_table_of_unknown_size_and_partitions_that_are_small_by_wish_stay_as_they_are() -> None:
    assert even_share(SIZE, 0, 4) == SIZE
    assert even_share(1 * MiB, 100 * MiB, 3) in (1 * MiB, math.ceil(100 * MiB / 102))


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 45), st.integers(1, 64))
def test_no_partition_is_larger_than_asked_for(size: int, nbytes: int, workers: int) -> None:
    assert 0 < even_share(size, nbytes, workers) <= size
