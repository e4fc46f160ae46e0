"""Sizes as people write them."""

import pytest

from arrowsync.core.units import MiB, format_bytes, parse_bytes
from arrowsync.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * MiB),
        ("64 mb", 64 * MiB),
        ("1.5g", 3 * 512 * MiB),
        ("2 KiB", 2048),
        (7, 7),
        ("1000", 1000),
    ],
)
def test_sizes_are_powers_of_two_whatever_their_spelling(text: int | str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "much", "1 XiB", "1e9", "--5 MiB"])
def test_an_unreadable_or_negative_size_is_an_error_that_quotes_it(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"memory must be a size such as '512 MiB', not {text!r}$"):
        parse_bytes(text, what="memory")


def test_sizes_are_shown_with_three_digits() -> None:
    assert [format_bytes(n) for n in (0, 1023, 1536, 5 << 30)] == ["0 B", "1023 B", "1.5 KiB", "5 GiB"]
