"""The error tree, by what can be done about each error: stop, retry, or put rows aside.

ArrowsyncError
├── TransferError         a table failed; carries the report
├── ConfigError           what was asked for cannot be done as asked
│   ├── ArgumentError     a TypeError too: no such argument, one missing, or one given by position (internal)
│   ├── DriverUnusable    the ADBC library that was chosen is missing, none, or too old
│   └── TableUnusable     one table cannot be read or named: others can be copied (internal)
├── SchemaError           a column or table does not fit its target
├── ResumeError           an unfinished transfer stands in the way
├── VerificationError     the target does not hold what was sent
├── MemoryLimitError      a row or batch that cannot fit the memory limit
├── TransientError        may go away by itself: the partition is tried again
│   ├── BatchTimeout      a driver call took longer than `batch_seconds`
│   ├── LockHeld          a lock was waited for as long as may be: not tried again (internal)
│   ├── ConnectionRefused one more was refused where others may be open: fewer may do (internal)
│   │   └── Unanswered    it was taken, but kept waiting (internal)
│   └── Unreachable       the database does not answer; a ConfigError before the first answer
├── SnapshotLost          the source's snapshot must be taken anew (internal)
│   └── TableChanged      DDL has changed what an older snapshot shows of a table
├── DataError             the target refused rows: quarantine or stop
└── Refused               a form cannot carry these values unchanged: the next form is tried (internal)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from arrowsync.report import Report


class ArrowsyncError(Exception):
    """What went wrong, where, and what to do. Picklable; never holds a password."""

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        partition: int | None = None,
        column: str | None = None,
        row: str | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.table = table
        self.partition = partition
        self.column = column
        self.row = row
        self.hint = hint
        self.sqlstate = sqlstate
        self.constraint = constraint

    def at(self, **where: Any) -> Self:  # Any: the fields above, each with its own type
        """Fill in what is not known yet about the place; returns the error itself."""
        for field, value in where.items():
            if getattr(self, field) is None:
                setattr(self, field, value)
        return self

    def __str__(self) -> str:
        places = [
            f"{field} {value!r}" if field == "column" else f"{field} {value}"
            for field in ("table", "partition", "column", "row")
            if (value := getattr(self, field)) is not None
        ]
        text = self.message + (f" ({', '.join(places)})" if places else "")
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:  # Any: pickle's own protocol
        return (type(self), (self.message,), self.__dict__)


class TransferError(ArrowsyncError):
    """One or more tables failed; `report` says which, `__cause__` is the first cause."""

    report: Report


class ConfigError(ArrowsyncError):
    """What was asked for cannot be done as asked; nothing was changed."""


class ArgumentError(ConfigError, TypeError):
    """A call does not fit the function: no such argument, one missing, or one given by position."""


class DriverUnusable(ConfigError):
    """The ADBC library that was chosen for a database cannot be loaded, or is not its driver."""


class TableUnusable(ConfigError):
    """One table cannot be read, or cannot be named in the target; others can be copied all the same."""


class SchemaError(ArrowsyncError):
    """A column or table does not fit its target."""


class ResumeError(ArrowsyncError):
    """An unfinished transfer into the same table differs from this one."""


class VerificationError(ArrowsyncError):
    """The target does not hold what was sent."""


class MemoryLimitError(ArrowsyncError):
    """A row that cannot fit the memory limit."""


class TransientError(ArrowsyncError):
    """May go away by itself: the partition is tried again."""


class BatchTimeout(TransientError):
    """A driver call had control for longer than `batch_seconds`."""


class LockHeld(TransientError):
    """Another session holds a lock that was waited for as long as a lock may be."""


class ConnectionRefused(TransientError):
    """The server or its pooler takes no further connection: fewer may do."""


class Unanswered(ConnectionRefused):
    """A connection was taken and not answered, as a pooler does whose own are all in use."""


class Unreachable(ConfigError, TransientError):
    """The database does not answer: at first its address may be wrong, later it comes back."""


class SnapshotLost(ArrowsyncError):
    """The session that holds the source's snapshot has died; a new one is taken (internal)."""


class TableChanged(SnapshotLost):
    """A source table was emptied, rewritten or altered since the snapshot, which no longer shows its rows."""


class DataError(ArrowsyncError):
    """The target refused rows."""


class Refused(ArrowsyncError):
    """A form cannot carry these values unchanged; the column's next form is tried."""


# Told apart by our own code alone.
_INTERNAL = (
    DriverUnusable,
    TableUnusable,
    LockHeld,
    ConnectionRefused,
    Unanswered,
    Unreachable,
    SnapshotLost,
    TableChanged,
    Refused,
)


def public_name(error: BaseException) -> str:
    """The name of the error's class as users know it: an internal one goes by its public base."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind not in _INTERNAL)
