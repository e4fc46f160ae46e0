"""Sizes as people write them ("512 MiB") and as bytes."""

from __future__ import annotations

import re

from arrowsync.errors import ConfigError

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

_FACTORS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    # "512 MB" and "512M" mean what people type them for: a power of two, as PostgreSQL's settings do.
    _FACTORS |= {_letter: 1024**_power, f"{_letter}b": 1024**_power, f"{_letter}ib": 1024**_power}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_bytes(size: int | str, *, what: str = "size") -> int:
    """Bytes of "64 MiB", "2g", "1.5 GB" or a number of bytes. Raises ConfigError."""
    match = _SIZE.fullmatch(str(size))
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ConfigError(f"{what} must be a size such as '512 MiB', not {size!r}")
    return int(float(match[1]) * factor)


def format_bytes(size: float) -> str:
    """Three significant digits with a binary unit: 1234567 -> '1.18 MiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"
