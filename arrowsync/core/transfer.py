"""What was asked for: a Transfer with its mode, limits and retry rule. Frozen, picklable, decides nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Self

from arrowsync.core.table import TableName, any_fits
from arrowsync.core.units import MiB, format_bytes, parse_bytes
from arrowsync.errors import ConfigError

SMALLEST_MEMORY = 64 * MiB  # one pipe costs about 25 MiB plus 12 batches of 1 MiB; below that nothing fits

QUARANTINE = "arrowsync-quarantine"  # a folder where the transfer was asked for

SHARE_JUDGED_FROM = 1000  # rows read; the first row of all is 100 %


class WriteMode(StrEnum):
    """What happens to rows that are already in the target table."""

    CREATE = "create"
    APPEND = "append"
    REPLACE = "replace"
    TRUNCATE = "truncate"
    UPSERT = "upsert"


OFFERED = (WriteMode.CREATE, WriteMode.APPEND, WriteMode.REPLACE)  # the others are not there yet


class Verify(StrEnum):
    """How a finished copy is checked."""

    COUNT = "count"
    HASH = "hash"
    OFF = "off"


class BadRows(StrEnum):
    """What happens to rows that the target refuses."""

    QUARANTINE = "quarantine"
    STOP = "stop"


class Nul(StrEnum):
    """What happens to a text with U+0000 that the target cannot store."""

    QUARANTINE = "quarantine"
    ERROR = "error"
    STRIP = "strip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a transfer may take: memory and partition sizes in bytes or as "512 MiB", time in seconds.

    `batch_rows=None` lets the sizer choose; a number fixes the rows of every batch.
    """

    memory: int | str = "512 MiB"
    batch_rows: int | None = None
    batch_seconds: float = 30.0
    partition_bytes: int | str = "128 MiB"
    max_connections: int | None = None

    def __post_init__(self) -> None:
        if self.memory_bytes < SMALLEST_MEMORY:
            raise ConfigError(
                f"memory: {format_bytes(self.memory_bytes)} is too small",
                hint=f"The smallest limit is {format_bytes(SMALLEST_MEMORY)}",
            )
        for name in ("batch_rows", "batch_seconds", "partition_size", "max_connections"):
            value = getattr(self, name)
            if value is not None:
                _check_number(name, value, whole=name != "batch_seconds")
            if value is not None and not value > 0:
                raise ConfigError(f"{name.replace('_size', '_bytes')}: must be more than zero, not {value!r}")

    @property
    def memory_bytes(self) -> int:
        return parse_bytes(self.memory, what="memory")

    @property
    def partition_size(self) -> int:
        return parse_bytes(self.partition_bytes, what="partition_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how patiently a partition is tried again after a transient error."""

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("attempts", "first_seconds", "longest_seconds"):
            _check_number(name, getattr(self, name), whole=name == "attempts")
        if self.attempts < 1 or self.first_seconds < 0 or self.longest_seconds < self.first_seconds:
            raise ConfigError(
                f"retry: cannot use {self}", hint="attempts >= 1, 0 <= first_seconds <= longest"
            )


# What makes two calls the same transfer, so that the second resumes the first.
_IDENTITY = (
    *("source", "target", "tables", "patterns", "query", "target_table", "mode", "key"),
    *("columns", "exclude", "rename", "where", "cast", "cursor", "lookback", "schema_only"),
    *("row_security", "views", "nul", "allow_lossy", "index"),
)
NOT_YET = ("cursor", "lookback", "delete_missing")  # part of every transfer's identity already
_FIELDS = {"table": "tables", "tables": "patterns"}  # the API's word -> ours
_FLAGS = {ours: theirs for theirs, ours in _FIELDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What was asked for.

    `source` and `target` are identities (scheme, host, port, database or real path): no user, password or
    parameters. `tables` are names and `patterns` wildcards, as given; with neither every table is meant.
    """

    source: str
    target: str
    tables: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    query: str | None = None
    target_table: str | None = None
    mode: WriteMode = WriteMode.CREATE
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    where: str | None = None
    row_security: bool = False
    index: bool | None = None
    cast: Mapping[str, str] = field(default_factory=dict)
    cursor: str | None = None
    lookback: str | None = None
    delete_missing: bool = False
    schema_only: bool = False
    views: bool = False
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    on_bad_rows: BadRows = BadRows.QUARANTINE
    max_bad_rows: int | str = 10_000
    quarantine: str = QUARANTINE
    nul: Nul = Nul.QUARANTINE
    verify: Verify = Verify.COUNT
    allow_lossy: bool = False
    allow_empty: bool | tuple[str, ...] = False
    journal: str | None = "arrowsync"
    restart: bool = False
    not_consistent: bool = False

    @property
    def id(self) -> str:
        """12 hex digits that name this transfer in the journal, staging names and quarantine folders."""
        identity = {name: _plain(getattr(self, name)) for name in _IDENTITY}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]

    def identity(self) -> dict[str, object]:
        """What makes this transfer itself, as JSON values; the journal keeps it to show a difference."""
        return {name: _plain(getattr(self, name)) for name in _IDENTITY}

    @property
    def quarantine_folder(self) -> Path:
        return Path(self.quarantine) / self.id

    def may_empty(self, name: TableName) -> bool:
        """Whether a replace by no rows was asked for, of all tables or by a pattern."""
        if isinstance(self.allow_empty, bool):
            return self.allow_empty
        return any_fits(self.allow_empty, name)

    def allows(self, bad: int, read: int) -> bool:
        """Whether max_bad_rows lets so many of the rows read so far be bad. Raises ConfigError."""
        text = str(self.max_bad_rows).strip()
        number = text.removesuffix("%")
        try:
            most = float(number) if number != text else int(text)
        except ValueError:
            most = -1
        if not most >= 0:
            raise ConfigError(
                f"max_bad_rows: cannot read {self.max_bad_rows!r}",
                hint='Write 1000, or "1%" of the rows read',
            )
        if number == text:
            return bad <= most
        return read < SHARE_JUDGED_FROM or bad <= read * most / 100

    @property
    def worker_count(self) -> int:
        return self.workers or min(4, os.cpu_count() or 1)

    @classmethod
    def of(cls, source: str, target: str, **arguments: object) -> Self:
        """The transfer of the API's arguments: `table` holds names, `tables` patterns. Raises ConfigError."""
        given = {
            _FIELDS.get(name, name): _checked(name, value)
            for name, value in arguments.items()
            if value is not None
        }
        # Workers may stand in other folders, and this process may change its own.
        given["quarantine"] = os.path.abspath(str(given.get("quarantine", QUARANTINE)))
        if "journal" in arguments:
            given["journal"] = arguments["journal"]  # None means: without one
        arguments = given
        if unknown := set(arguments) - {f.name for f in fields(cls)}:
            raise ConfigError(f"unknown argument {sorted(unknown)[0]!r}")
        for name in NOT_YET:
            if arguments.get(name, False) is not False:
                raise ConfigError(f"{name} is not there yet", hint="Leave it out; where= selects rows")
        choices = {"mode": WriteMode, "verify": Verify, "on_bad_rows": BadRows, "nul": Nul}
        for name, choice in choices.items():
            if name in arguments:
                arguments[name] = _choose(choice, name, arguments[name])
        workers = arguments.get("workers")
        if isinstance(workers, int) and workers < 1:
            raise ConfigError(f"workers: must be at least 1, not {workers}")
        if arguments.get("columns") and arguments.get("exclude"):
            raise ConfigError("columns and exclude are two ways to say one thing", hint="Give one of them")
        if arguments.get("query") and (arguments.get("tables") or arguments.get("patterns")):
            raise ConfigError(
                "query and table are two sources",
                hint="Give one of them; target_table (--target-table) names the query's target",
            )
        transfer = cls(source=source, target=target, **arguments)  # type: ignore[arg-type]  # checked above and by the fields
        transfer.allows(0, 0)
        return transfer


def command_line(request: Mapping[str, Any]) -> str:  # Any: JSON
    """The shell command of a transfer, from its identity(); what is at its default is left out."""
    words = ["arrowsync", "copy", str(request["source"]), str(request["target"])]
    defaults = Transfer(source="", target="").identity()
    for name, value in request.items():
        if name not in ("source", "target") and value not in (defaults.get(name), None):
            words += _flag(_FLAGS.get(name, name), value)
    return shlex.join(words)


def _flag(name: str, value: object) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    match value:
        case bool():
            return [flag]
        case Mapping():
            return [word for old, new in value.items() for word in (flag, f"{old}={new}")]
        case list() if name in ("table", "tables"):
            return [word for each in value for word in (flag, each)]
        case list():
            return [flag, ",".join(map(str, value))]
    return [flag, str(value)]


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


def _choose(choice: type[StrEnum], name: str, value: object) -> StrEnum:
    try:
        return choice(str(value))
    except ValueError:
        words = OFFERED if choice is WriteMode else tuple(choice)
        raise ConfigError(f"{name}: {value!r} is none of {', '.join(words)}") from None


def listed(what: str, names: object) -> tuple[str, ...]:
    """One name or several, as a tuple. Raises ConfigError for what are no names."""
    if isinstance(names, str):
        return (names,)
    if isinstance(names, Iterable) and not isinstance(names, Mapping | bytes):
        found = tuple(names)
        if all(isinstance(name, str) for name in found):
            return found
    raise ConfigError(f"{what}: cannot use {names!r}", hint="Give one name or a list of names")


_NAMES = ("table", "tables", "columns", "exclude", "key")
_TYPES: dict[str, tuple[type | UnionType, str]] = {
    **dict.fromkeys(("query", "where", "target_table", "journal"), (str, "a text")),
    **dict.fromkeys(("rename", "cast"), (Mapping, "a dict of column names and texts")),
    **dict.fromkeys(
        ("row_security", "index", "schema_only", "views", "allow_lossy", "restart", "not_consistent"),
        (bool, "True or False"),
    ),
    "workers": (int, "a whole number"),
    "limits": (Limits, 'Limits, such as Limits(memory="1 GiB")'),
    "retry": (Retry, "Retry, such as Retry(attempts=10)"),
    "quarantine": (str | os.PathLike, "a folder"),
}


def _checked(name: str, value: object) -> object:
    """The argument, names as a tuple. Raises ConfigError for one of another type."""
    if name in _NAMES:
        if not (names := listed(name, value)) and name != "exclude":
            raise ConfigError(f"{name}: is empty", hint="Leave it out where none is meant")
        return names
    if name == "allow_empty" and not isinstance(value, bool):
        return listed(name, value)
    wanted, words = _TYPES.get(name, (object, ""))
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if isinstance(value, Mapping) and not all(isinstance(text, str) for text in (*value, *value.values())):
        fits = wanted is object
    if not fits:
        raise ConfigError(f"{name}: cannot use {value!r}", hint=f"Give {words}")
    if name in ("query", "where", "target_table") and not str(value).strip():
        raise ConfigError(f"{name}: is empty", hint="Leave it out")
    return value


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ConfigError(f"{name}: cannot use {value!r}", hint=f"Give a {'whole ' * whole}number")
