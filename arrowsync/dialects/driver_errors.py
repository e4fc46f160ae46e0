"""What an error of any ADBC driver means: by its SQLSTATE where it has one, else by its ADBC status."""

from __future__ import annotations

import re
from collections.abc import Callable

from arrowsync.errors import ArrowsyncError, ConfigError, DataError, SchemaError, TransientError

_STATES: dict[str, Callable[..., ArrowsyncError]] = {
    **dict.fromkeys(("22", "23"), DataError),
    **dict.fromkeys(("08", "40"), TransientError),
    "28": ConfigError,
    "42": SchemaError,
}
_STATUSES: dict[str, Callable[..., ArrowsyncError]] = {
    **dict.fromkeys(("INTEGRITY", "INVALID_DATA"), DataError),
    **dict.fromkeys(("CANCELLED", "TIMEOUT"), TransientError),
    **dict.fromkeys(("UNAUTHENTICATED", "UNAUTHORIZED"), ConfigError),
    **dict.fromkeys(("NOT_FOUND", "ALREADY_EXISTS", "NOT_IMPLEMENTED"), SchemaError),
}
# Of drivers that say neither, such as DuckDB's: a row was refused.
_REFUSED = re.compile("constraint|violat|duplicate|type mismatch|out of range|overflow", re.IGNORECASE)
_STATUS = re.compile(r"^[A-Z_]+: ")


def translate(error: Exception) -> ArrowsyncError:
    """The driver's error as one of ours, by the first line that says something."""
    state: str | None = getattr(error, "sqlstate", None)
    status = getattr(getattr(error, "status_code", None), "name", "")
    lines = [line.strip() for line in _STATUS.sub("", str(error)).splitlines() if line.strip()]
    message = lines[0].rstrip(".") if lines else "the driver gave no reason"
    by_words = DataError if _REFUSED.search(message) else ArrowsyncError
    kind = _STATES.get((state or "")[:2]) or _STATUSES.get(status, by_words)
    return kind(message, sqlstate=state)
