"""Moves tables between databases as Arrow RecordBatches: exact types, bounded memory, proven copies."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from arrowsync import allocators

if TYPE_CHECKING:
    from arrowsync.api import Plan, copy, doctor, inspect, plan, status, stream, verify
    from arrowsync.core.capabilities import Capabilities
    from arrowsync.core.limits import Limits, Retry
    from arrowsync.display.doctor import Checkup
    from arrowsync.display.tables import Tables
    from arrowsync.display.transfers import Transfers
    from arrowsync.endpoints import Database, Dialect, Driver
    from arrowsync.errors import (
        ArrowsyncError,
        BatchTimeout,
        ConfigError,
        DataError,
        MemoryLimitError,
        ResumeError,
        SchemaError,
        TransferError,
        TransientError,
        VerificationError,
    )
    from arrowsync.report import Report, Verification

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until the application says otherwise

# Looked up on first use: pyarrow, polars and the drivers take 0.4 s to import, `arrowsync --help` needs none.
_HOMES = {
    "arrowsync.api": ("Plan", "copy", "doctor", "inspect", "plan", "status", "stream", "verify"),
    "arrowsync.core.capabilities": ("Capabilities",),
    "arrowsync.core.limits": ("Limits", "Retry"),
    "arrowsync.display.doctor": ("Checkup",),
    "arrowsync.display.tables": ("Tables",),
    "arrowsync.display.transfers": ("Transfers",),
    "arrowsync.endpoints": ("Database", "Dialect", "Driver"),
    "arrowsync.errors": (
        "ArrowsyncError",
        "BatchTimeout",
        "ConfigError",
        "DataError",
        "MemoryLimitError",
        "ResumeError",
        "SchemaError",
        "TransferError",
        "TransientError",
        "VerificationError",
    ),
    "arrowsync.report": ("Report", "Verification"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArrowsyncError",
    "BatchTimeout",
    "Capabilities",
    "Checkup",
    "ConfigError",
    "DataError",
    "Database",
    "Dialect",
    "Driver",
    "Limits",
    "MemoryLimitError",
    "Plan",
    "Report",
    "ResumeError",
    "Retry",
    "SchemaError",
    "Tables",
    "TransferError",
    "Transfers",
    "TransientError",
    "Verification",
    "VerificationError",
    "copy",
    "doctor",
    "inspect",
    "plan",
    "status",
    "stream",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with allocators.lean(), _uncollected():
        value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without a search for garbage, of which imports leave none: it took 20 of their 330 ms."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


def __dir__() -> list[str]:
    return __all__
