"""The formats that files may have. A new one is a module of its own, and an entry here."""

from __future__ import annotations

from pathlib import Path

from arrowsync.endpoints.files import parquet
from arrowsync.endpoints.files.format import Format

FORMATS: dict[str, Format] = {".parquet": parquet}  # by suffix; the first one is a new folder's


def format_named(path: str) -> Format | None:
    """The format that a path ends with."""
    return next((format for suffix, format in FORMATS.items() if path.lower().endswith(suffix)), None)


def format_within(folder: Path) -> Format:
    """The format of a folder's files; the usual one where there are none."""
    usual, *_ = FORMATS.values()
    return next((format for suffix, format in FORMATS.items() if any(folder.glob(f"[!._]*{suffix}"))), usual)
