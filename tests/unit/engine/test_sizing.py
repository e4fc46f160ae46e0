"""The sizer starts small, grows while that pays, and stays inside what memory allows."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.units import KiB, MiB
from arrowsync.engine.sizing import CALM, AdaptiveSizer

ROW_BYTES = 128


def sizer(
    *, ceiling_bytes: int = 8 * MiB, table_rows: int | None = None, fixed_rows: int | None = None
) -> AdaptiveSizer:
    return AdaptiveSizer(
        row_bytes=ROW_BYTES, ceiling_bytes=ceiling_bytes, table_rows=table_rows, fixed_rows=fixed_rows
    )


def copy(sizer: AdaptiveSizer, batches: int, rows_per_second: float, row_bytes: int = ROW_BYTES) -> list[int]:
    """The rows of so many batches that a driver takes at that speed."""
    sizes = []
    for _ in range(batches):
        sizes.append(sizer.rows)
        sizer.observe(sizer.rows, sizer.rows * row_bytes, sizer.rows / rows_per_second)
    return sizes


STEPS = st.one_of(
    st.just("shrink"),
    st.tuples(st.integers(0, 10**7), st.integers(0, 10**10), st.floats(0, 1e4)),
)


@given(
    row_bytes=st.none() | st.integers(1, 10**9),
    ceiling_bytes=st.integers(1 * MiB, 1024 * MiB),
    table_rows=st.none() | st.integers(0, 10**9),
    fixed_rows=st.none() | st.integers(1, 10**9),
    steps=st.lists(STEPS, max_size=40),
)
def test_sizes_stay_inside_their_bounds_whatever_is_observed(
    row_bytes: int | None,
    ceiling_bytes: int,
    table_rows: int | None,
    fixed_rows: int | None,
    steps: list[str | tuple[int, int, float]],
) -> None:
    sizer = AdaptiveSizer(
        row_bytes=row_bytes, ceiling_bytes=ceiling_bytes, table_rows=table_rows, fixed_rows=fixed_rows
    )
    for step in steps:
        before = sizer.rows
        if isinstance(step, str):
            sizer.shrink()
            assert before // 2 <= sizer.rows <= before
            continue
        rows, nbytes, seconds = step
        sizer.observe(rows, nbytes, seconds)
        assert 1 <= sizer.rows <= max(1, before * 2)
        if fixed_rows is not None:
            assert sizer.rows <= fixed_rows
        if rows and sizer.rows > 1:
            assert sizer.rows * (nbytes / rows) <= ceiling_bytes


def test_an_ordinary_copy_starts_small_and_grows_to_a_few_mib() -> None:
    sizes = copy(sizer(), 20, rows_per_second=600_000)
    assert max(sizes) >= 2 * min(sizes)
    assert 2 * MiB <= max(sizes) * ROW_BYTES <= 8 * MiB


@pytest.mark.parametrize("rows_per_second", [10, 600_000])
def test_a_step_is_at_most_double_or_half(rows_per_second: float) -> None:
    sizes = copy(sizer(), 20, rows_per_second)
    assert all(later <= 2 * earlier and later >= earlier // 2 for earlier, later in pairwise(sizes))


def test_less_memory_makes_smaller_batches() -> None:
    assert max(copy(sizer(ceiling_bytes=2 * MiB), 30, 600_000)) < max(copy(sizer(), 30, 600_000))


def test_a_slow_target_gets_batches_of_about_a_fifth_of_a_second() -> None:
    slow = sizer()
    copy(slow, 20, rows_per_second=1_000)
    assert 150 <= slow.rows <= 250


def test_the_sizer_steps_back_where_more_rows_are_slower() -> None:
    small = sizer()
    sizes = []
    for _ in range(60):
        rows = small.rows
        sizes.append(rows)
        # Beyond 8,000 rows the target falls off, as one does whose cache is full.
        small.observe(rows, rows * ROW_BYTES, rows / 100_000 * max(1.0, rows / 8_000))
    assert max(sizes) < 20_000
    assert sum(sizes[20:]) / 40 < 12_000


@pytest.mark.parametrize("seed", range(5))
def test_batches_that_scatter_are_as_large_as_those_that_do_not(seed: int) -> None:
    busy, chance = sizer(), random.Random(seed)
    sizes = []
    for _ in range(300):
        sizes.append(busy.rows)
        busy.observe(busy.rows, busy.rows * ROW_BYTES, busy.rows / 600_000 * chance.lognormvariate(0, 0.4))
    assert sum(sizes) / 300 > 0.8 * max(copy(sizer(), 20, 600_000))


def test_a_single_slow_batch_does_not_make_batches_small_for_long() -> None:
    grown = sizer()
    copy(grown, 20, 600_000)
    before = grown.rows
    copy(grown, 1, 60_000)  # its rows/s promise more than a fifth of a second
    assert grown.rows < before
    copy(grown, 1, 600_000)
    assert grown.rows == before


def test_batches_cut_before_the_last_step_do_not_count() -> None:
    grown = sizer()
    before = grown.rows
    grown.observe(before, before * ROW_BYTES, before / 600_000)
    grown.observe(before, before * ROW_BYTES, before / 60)
    assert grown.rows == 2 * before


def test_wider_rows_lower_the_rows_at_once() -> None:
    wide = sizer(ceiling_bytes=2 * MiB)
    copy(wide, 10, 600_000)
    wide.observe(10, 10 * MiB, 0.1)
    assert wide.rows == 2


def test_a_table_smaller_than_one_batch_is_one_batch() -> None:
    assert sizer(table_rows=10_000).rows == 10_000


def test_a_large_table_starts_small() -> None:
    assert sizer(table_rows=6_000_000).rows == 256 * KiB // ROW_BYTES


def test_fixed_rows_stay() -> None:
    assert set(copy(sizer(fixed_rows=1_234), 20, 600_000)) == {1_234}


def test_memory_rules_over_fixed_rows() -> None:
    fixed = sizer(fixed_rows=1_000_000, ceiling_bytes=1 * MiB)
    assert fixed.rows == 1 * MiB // ROW_BYTES


def test_shrinking_halves_and_growth_waits_for_calm() -> None:
    grown = sizer()
    copy(grown, 20, 600_000)
    before = grown.rows
    grown.shrink()
    assert grown.rows == before // 2
    assert set(copy(grown, CALM, 600_000)) == {before // 2}
    assert grown.rows == before // 2
    copy(grown, 1, 600_000)
    assert grown.rows > before // 2


def test_shrinking_ends_before_calls_cost_more_than_rows() -> None:
    pressed = sizer()
    for _ in range(50):
        pressed.shrink()
    assert pressed.rows == 64 * KiB // ROW_BYTES


def test_shrinking_a_table_of_huge_rows_ends_at_one_row() -> None:
    huge = AdaptiveSizer(row_bytes=None, ceiling_bytes=64 * MiB, table_rows=None)
    huge.observe(1, 8 * MiB, 0.1)
    for _ in range(10):
        huge.shrink()
    assert huge.rows == 1


@pytest.mark.parametrize("rows", [0, -1])
def test_a_batch_without_rows_teaches_nothing(rows: int) -> None:
    fresh = sizer()
    before = fresh.rows
    fresh.observe(rows, 0, 1.0)
    assert fresh.rows == before
