"""What was asked for: a Transfer with its mode, limits and retry rule. Frozen, picklable, decides nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Self

from arrowsync.core.arguments import CopyArguments
from arrowsync.core.capabilities import Capabilities
from arrowsync.core.limits import Limits, Retry
from arrowsync.core.suggestions import meant_mode, nearest
from arrowsync.core.table import TableName, any_fits
from arrowsync.errors import ConfigError

SHARE_JUDGED_FROM = 1000  # rows read; the first row of all is 100 %


class WriteMode(StrEnum):
    """What happens to rows that are already in the target table."""

    CREATE = "create"
    APPEND = "append"
    REPLACE = "replace"


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


# What makes two calls the same transfer, so that the second resumes the first.
_IDENTITY = (
    *("source", "target", "tables", "patterns", "query", "target_table", "mode", "key"),
    *("columns", "exclude", "rename", "where", "cast", "schema_only"),
    *("row_security", "views", "nul", "allow_lossy", "index"),
)
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
    schema_only: bool = False
    views: bool = False
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    on_bad_rows: BadRows | None = None
    max_bad_rows: int | str = CopyArguments.max_bad_rows
    quarantine: str = str(CopyArguments.quarantine)
    nul: Nul = Nul.QUARANTINE
    verify: Verify = Verify.COUNT
    allow_lossy: bool = False
    allow_empty: bool | tuple[str, ...] = False
    journal: str | None = CopyArguments.journal
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
                f"max_bad_rows must be a whole number, or a share of the rows read such as 1%, "
                f"not {self.max_bad_rows!r}"
            )
        if number == text:
            return bad <= most
        return read < SHARE_JUDGED_FROM or bad <= read * most / 100

    def settled(self, sink: Capabilities) -> Self:
        """With what the target can do where nothing was asked for. Raises ConfigError for what it cannot."""
        if not sink.isolates_rows and self.on_bad_rows is BadRows.QUARANTINE:
            raise ConfigError(
                "on_bad_rows quarantine: this target cannot tell a refused row from the others",
                hint="Leave it out, or say stop: a refused row ends the copy, and nothing is written",
            )
        if not sink.journal and self.journal not in (None, CopyArguments.journal):
            raise ConfigError("journal: no receipts can be kept in this target", hint="Leave journal out")
        usual = BadRows.QUARANTINE if sink.isolates_rows else BadRows.STOP
        journal = self.journal if sink.journal else None
        return replace(self, on_bad_rows=self.on_bad_rows or usual, journal=journal)

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
        given["quarantine"] = os.path.abspath(str(given.get("quarantine", CopyArguments.quarantine)))
        if "journal" in arguments:
            given["journal"] = arguments["journal"]  # None means: without one
        _check_together(given)
        transfer = cls(source=source, target=target, **given)  # type: ignore[arg-type]  # checked above
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


# -- what was given ------------------------------------------------------------------------------------------

_NAMES = ("table", "tables", "columns", "exclude", "key")
_CHOICES: dict[str, type[StrEnum]] = {"mode": WriteMode, "verify": Verify, "on_bad_rows": BadRows, "nul": Nul}
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
    "quarantine": (str | os.PathLike, "the path of a folder"),
}


def _checked(name: str, value: object) -> object:
    """The argument, names as a tuple. Raises ConfigError for a value of another type."""
    if name in _NAMES:
        if not (names := listed(name, value)) and name != "exclude":
            raise ConfigError(f"{name} is empty", hint="Leave it out where none is meant")
        return names
    if name == "allow_empty" and not isinstance(value, bool):
        return listed(name, value)
    if name in _CHOICES:
        return _choose(_CHOICES[name], name, value)
    wanted, words = _TYPES.get(name, (object, ""))
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if isinstance(value, Mapping) and not all(isinstance(text, str) for text in (*value, *value.values())):
        fits = False
    if not fits:
        raise ConfigError(f"{name} must be {words}, not {value!r}")
    if name in ("query", "where", "target_table") and not str(value).strip():
        raise ConfigError(f"{name} is empty", hint="Leave it out")
    if name == "workers" and isinstance(value, int) and value < 1:
        raise ConfigError(f"workers must be at least 1, not {value}")
    return value


def listed(name: str, value: object) -> tuple[str, ...]:
    """One name or several, as a tuple. Raises ConfigError for what are no names."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        found = tuple(value)
        if all(isinstance(each, str) for each in found):
            return found
    raise ConfigError(f"{name} must be a name or a list of names, not {value!r}")


def _choose(choice: type[StrEnum], name: str, value: object) -> StrEnum:
    try:
        return choice(str(value))
    except ValueError:
        words = [str(word) for word in choice]
        raise ConfigError(
            f"{name} must be {', '.join(words[:-1])} or {words[-1]}, not {value!r}",
            hint=_meant(choice, str(value), words),
        ) from None


def _meant(choice: type[StrEnum], value: str, words: Sequence[str]) -> str | None:
    word = meant_mode(value, words) if choice is WriteMode else nearest(value, words)
    if word is None or word in words:
        return word and f"Did you mean {word}?"
    return f"There is no mode {word} yet"


def _check_together(given: Mapping[str, object]) -> None:
    """Raises ConfigError for arguments that contradict each other; they bear a Transfer's names."""
    if given.get("columns") and given.get("exclude"):
        raise ConfigError("columns and exclude cannot be given together", hint="Give one of them")
    if given.get("query") and (given.get("tables") or given.get("patterns")):
        raise ConfigError(
            "a query and a table cannot be given together",
            hint="Give one of them; target_table (--target-table) names the query's target",
        )
