"""Numbers as people read them."""

import pytest

from arrowsync.display.formatting import about, duration, noun, rate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0421, "0.0421 s"),
        (2, "2 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_have_the_units_that_people_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(0, "0"), (7.126, "7.13"), (999.6, "1 k"), (612_345, "612 k"), (2.5e6, "2.5 M"), (3e9, "3 G")],
)
def test_rates_have_three_digits_and_a_prefix(per_second: float, text: str) -> None:
    assert rate(per_second) == text


def test_an_estimate_is_marked_and_an_unknown_count_is_a_question_mark() -> None:
    assert [about(1234), about(1234, exact=True), about(None)] == ["~1,234", "1,234", "?"]


def test_one_row_is_singular() -> None:
    assert [noun(1, "row"), noun(2000, "row")] == ["1 row", "2,000 rows"]
