"""Numbers as people read them: 6,001,215 rows; 612 k rows/s; 82.1 MiB/s; 3 min 20 s."""

from __future__ import annotations

from arrowsync.core.units import format_bytes


def count(number: float) -> str:
    return f"{number:,.0f}"


def noun(number: int, singular: str) -> str:
    """1 row, 2 rows."""
    return f"{count(number)} {singular}{'' if number == 1 else 's'}"


def rate(per_second: float) -> str:
    """Three significant digits with a metric prefix: 612345 -> '612 k'."""
    for prefix in ("", " k", " M"):
        if per_second < 999.5:
            return f"{per_second:.3g}{prefix}"
        per_second /= 1000
    return f"{per_second:.3g} G"


def rows_rate(per_second: float) -> str:
    return f"{rate(per_second)} rows/s"


def bytes_rate(per_second: float) -> str:
    return f"{format_bytes(per_second)}/s"


def duration(seconds: float) -> str:
    """0.042 s, 12.3 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def about(number: int | None, *, exact: bool = False) -> str:
    """A row count, marked where it is an estimate; '?' where there is none."""
    if number is None:
        return "?"
    return count(number) if exact else f"~{count(number)}"


def about_rows(number: int | None, *, exact: bool = False) -> str:
    return f"{about(number, exact=exact)} row{'' if number == 1 else 's'}"
