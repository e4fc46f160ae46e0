"""How many rows may be read at a time when only their widths are known."""

from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.table import Widths

CLASSES = st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**6)), max_size=6)


@given(CLASSES, st.integers(1, 10**9))
def test_even_the_widest_rows_stay_inside_unless_one_alone_is_wider(
    classes: list[tuple[int, int]], nbytes: int
) -> None:
    widths = Widths(tuple(sorted(classes, reverse=True)))
    left = rows = widths.rows_within(nbytes)
    read = 0
    for width, count in widths.classes:
        read += width * min(left, count)
        left -= min(left, count)
    assert rows == 1 or read <= nbytes


def test_one_wide_row_among_narrow_ones_costs_its_room_only() -> None:
    assert Widths(((1_000, 1), (10, 10_000))).rows_within(2_000) == 101


def test_a_table_that_fits_is_read_at_once() -> None:
    assert Widths(((1_000, 1), (10, 50))).rows_within(2_000) == 51
    assert Widths(()).rows_within(2_000) == 1
