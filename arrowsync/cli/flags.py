"""Arguments and flags: names, help, and how they become the API's arguments. What they mean is its affair."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypedDict

from typer import Argument, Option

from arrowsync.core.limits import Limits, Retry
from arrowsync.errors import ConfigError

_given = partial(Argument, rich_help_panel="Arguments")
_what = partial(Option, rich_help_panel="What to copy")
_how = partial(Option, rich_help_panel="How it arrives")
_safe = partial(Option, rich_help_panel="Safety")
_limit = partial(Option, rich_help_panel="Limits")
_shown = partial(Option, rich_help_panel="Output")

Source = Annotated[
    str, _given(metavar="SOURCE", help="A database's URI or a file's path; ${VAR} is filled in.")
]
Target = Annotated[str, _given(metavar="TARGET", help="The same; a SQLite file is made if need be.")]
Place = Annotated[str, _given(metavar="URI", help="A database's URI or a file's path.")]
OptionalPlace = Annotated[
    str | None, _given(metavar="URI", help="A database to connect to as well; drivers need none.")
]
Table = Annotated[list[str] | None, _what("-t", "--table", metavar="NAME", help="A table; repeatable.")]
Tables = Annotated[
    list[str] | None,
    _what(metavar="PATTERN", help="Tables like 'public.*', less those like '!public.tmp_*'; repeatable."),
]
Journal = Annotated[
    str | None, _safe(metavar="NAME", help="Where the target keeps receipts. [default: arrowsync]")
]


class RowFlags(TypedDict, total=False):
    """Which rows are meant, for all that read a source; the API's names with dashes. None: not given."""

    table: Table
    tables: Tables
    query: Annotated[str | None, _what(metavar="SQL", help="A query's rows; needs --target-table.")]
    target_table: Annotated[str | None, _what(metavar="NAME", help="Its name there, where it differs.")]
    columns: Annotated[str | None, _what(metavar="A,B", help="Only these columns.")]
    exclude: Annotated[str | None, _what(metavar="A,B", help="All columns but these.")]
    key: Annotated[
        str | None, _what(metavar="A,B", help="Columns that name a row. [default: the primary key]")
    ]
    where: Annotated[str | None, _what(metavar="SQL", help="Only rows for which this holds.")]
    row_security: Annotated[
        bool | None, _what("--row-security", help="Only rows that PostgreSQL's policies show.")
    ]
    views: Annotated[bool | None, _what("--views", help="Views too; in another database as tables.")]
    rename: Annotated[list[str] | None, _what(metavar="OLD=NEW", help="Rename a column; repeatable.")]


class TransferFlags(RowFlags, total=False):
    """What copy and plan take besides."""

    mode: Annotated[
        str | None,
        _how(
            "-m",
            "--mode",
            metavar="MODE",
            help="create makes the table, append adds rows, replace swaps a new table in. [default: create]",
        ),
    ]
    schema_only: Annotated[
        bool | None, _how("--schema-only", help="Tables, keys, indexes, comments, and no row.")
    ]
    cast: Annotated[
        list[str] | None,
        _how(metavar="COLUMN=TYPE", help="Choose a target type, 'total=numeric(12,2)'; repeatable."),
    ]
    nul: Annotated[
        str | None, _how(metavar="quarantine|error|strip", help="Text with U+0000 that cannot be stored.")
    ]
    allow_lossy: Annotated[bool | None, _safe("--allow-lossy", help="Agree to the losses the plan lists.")]
    allow_empty: Annotated[
        bool | None, _safe("--allow-empty", help="Let replace exchange a table's rows for none.")
    ]
    verify: Annotated[
        str | None, _safe(metavar="count|hash|off", help="How the copy is checked. [default: count]")
    ]
    on_bad_rows: Annotated[
        str | None,
        _safe(
            metavar="quarantine|stop", help="Rows that the target refuses. [default: quarantine if possible]"
        ),
    ]
    max_bad_rows: Annotated[
        str | None, _safe(metavar="N|N%", help="How many of a table may be refused. [default: 10000]")
    ]
    quarantine: Annotated[
        str | None, _safe(metavar="DIR", help="Where refused rows are kept. [default: arrowsync-quarantine]")
    ]
    restart: Annotated[bool | None, _safe("--restart", help="Start over where a run was interrupted.")]
    not_consistent: Annotated[
        bool | None,
        _safe("--not-consistent", help="Resume although the source may have changed in between."),
    ]
    journal: Journal
    no_journal: Annotated[
        bool | None, _safe("--no-journal", help="No receipts: one transaction a table, no resuming.")
    ]
    memory: Annotated[
        str | None,
        _limit(metavar="SIZE", envvar="ARROWSYNC_MEMORY", help="For all of it. [default: 512 MiB]"),
    ]
    workers: Annotated[
        int | None,
        _limit(metavar="N", envvar="ARROWSYNC_WORKERS", help="Partitions at once. [default: up to 4]"),
    ]
    batch_rows: Annotated[int | None, _limit(metavar="N", help="Fix the batch size. [default: adaptive]")]
    batch_seconds: Annotated[
        float | None, _limit(metavar="SECONDS", help="For one batch in a driver. [default: 30]")
    ]
    partition_bytes: Annotated[
        str | None, _limit(metavar="SIZE", help="For one transaction, about. [default: 128 MiB]")
    ]
    max_connections: Annotated[
        int | None, _limit(metavar="N", help="Connections to a server at once. [default: as workers need]")
    ]
    retry_attempts: Annotated[int | None, _limit(metavar="N", help="Tries a partition. [default: 5]")]
    retry_first_seconds: Annotated[
        float | None, _limit(metavar="SECONDS", help="First wait; it doubles each time. [default: 0.5]")
    ]
    retry_longest_seconds: Annotated[
        float | None, _limit(metavar="SECONDS", help="Longest wait. [default: 30]")
    ]


class SharedFlags(TypedDict):
    """What every command takes."""

    json: Annotated[bool, _shown("--json", help="One JSON object on stdout, for failures too.")]
    no_progress: Annotated[bool, _shown("--no-progress", help="No progress on stderr.")]
    log_level: Annotated[
        str | None, _shown(metavar="LEVEL", help="Log on stderr, instead of progress: info, debug, …")
    ]
    debug: Annotated[bool, _shown("--debug", help="Show tracebacks.")]


def api_arguments(flags: Mapping[str, Any]) -> dict[str, Any]:  # Any: each flag has its own type
    """The API's arguments of the flags that were given. Raises ConfigError."""
    given = {name: value for name, value in flags.items() if value is not None}
    limits = {name: given.pop(name) for name in Limits.__dataclass_fields__ if name in given}
    retry = {name[6:]: given.pop(name) for name in list(given) if name.startswith("retry_")}
    arguments: dict[str, Any] = {}
    for name in ("columns", "exclude", "key"):
        if name in given:
            arguments[name] = _names(given.pop(name))
    for name in ("rename", "cast"):
        if name in given:
            arguments[name] = _pairs(name, given.pop(name))
    if (most := given.get("max_bad_rows")) and most.isdecimal():
        arguments["max_bad_rows"] = int(most)
    if given.pop("no_journal", False):
        if "journal" in given:
            raise ConfigError("--no-journal and --journal contradict each other", hint="Give one of them")
        arguments["journal"] = None
    if limits:
        arguments["limits"] = Limits(**limits)
    if retry:
        arguments["retry"] = Retry(**retry)
    return given | arguments


def _names(text: str) -> list[str]:
    """a,"b,c" are the names a and b,c."""
    return next(csv.reader([text], skipinitialspace=True), [])


def _pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=")[::2] for text in texts]
    for text, (name, value) in zip(texts, pairs, strict=True):
        if not name or not value:
            meant = text.replace(":", "=", 1) if ":" in text else "column=value"
            raise ConfigError(f"--{flag} must be column=value, not {text!r}", hint=f"Write --{flag} {meant}")
    return dict(pairs)
