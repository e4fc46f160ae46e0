"""The keyword arguments of the public functions: types, defaults and a line each, written once, here.

`core.signatures` makes the functions' signatures and docstrings of these classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass, fields
from typing import Annotated, Any, Literal

from arrowsync.core.events import Observer
from arrowsync.core.limits import Limits, Retry

Names = str | Iterable[str]
Mode = Literal["create", "append", "replace"]
Check = Literal["count", "hash", "off"]
OnBadRows = Literal["quarantine", "stop"]
OnNul = Literal["quarantine", "error", "strip"]

# What several functions take.
TableNames = Annotated[Names | None, 'tables by name: "orders", or ["orders", "public.items"]']
TablePatterns = Annotated[Names | None, 'tables by pattern: ["public.*", "!public.audit_*"]; "!" leaves out']
Query = Annotated[str | None, "rows of a SELECT in the source's SQL, instead of a table's"]
Columns = Annotated[Names | None, "only these columns"]
Exclude = Annotated[Names | None, "all columns but these"]
Where = Annotated[str | None, "only rows for which this holds, in the source's SQL"]
MemoryLimits = Annotated[Limits | None, 'memory, sizes of batches and transactions: Limits(memory="1 GiB")']
Journal = Annotated[str | None, "where receipts are kept; None: nowhere, no resume"]


@dataclass(frozen=True, eq=False)
class StreamArguments:
    """What `stream` takes."""

    place: Annotated[object, "a database or file; or a frame"]
    _: KW_ONLY
    table: Annotated[str | None, 'the table\'s name: "orders"'] = None
    query: Query = None
    columns: Columns = None
    exclude: Exclude = None
    where: Where = None
    limits: MemoryLimits = None


@dataclass(frozen=True, eq=False)
class RowArguments:
    """Which tables, columns and rows are meant: what `verify` takes."""

    source: Annotated[object, "a URI, a path, a Database; or a frame"]
    target: Annotated[object, "a URI, a path, a Database"]
    _: KW_ONLY
    table: TableNames = None
    tables: TablePatterns = None
    query: Query = None
    target_table: Annotated[str | None, "the table's name in the target, where it differs"] = None
    columns: Columns = None
    exclude: Exclude = None
    key: Annotated[Names | None, "columns that name a row, where the primary key does not"] = None
    where: Where = None
    row_security: Annotated[bool, "read only the rows that PostgreSQL's policies show"] = False
    views: Annotated[bool, "views too; in another kind of database as tables"] = False
    rename: Annotated[Mapping[str, str] | None, 'new names of columns: {"old": "new"}'] = None
    index: Annotated[bool | None, "pandas' index. None: named levels; True: all; False: none"] = None
    limits: MemoryLimits = None


@dataclass(frozen=True, eq=False, kw_only=True)
class CopyArguments(RowArguments):
    """What `copy` and `plan` take."""

    mode: Annotated[Mode, "create a table, append rows, or replace the table"] = "create"
    schema_only: Annotated[bool, "tables, keys, indexes and comments, and no row"] = False
    cast: Annotated[Mapping[str, str] | None, 'target types: {"total": "numeric(12,2)"}'] = None
    nul: Annotated[OnNul, "texts with U+0000: quarantine, error or strip"] = "quarantine"
    allow_lossy: Annotated[bool, "agree to the losses that the plan lists"] = False
    allow_empty: Annotated[bool | Names, "let replace exchange rows for none: True, or patterns"] = False
    verify: Annotated[Check, "how the copy is checked: count, hash, off"] = "count"
    on_bad_rows: Annotated[
        OnBadRows | None,
        "refused rows: quarantine or stop; None: quarantine where the target can",
    ] = None
    max_bad_rows: Annotated[int | str, 'refused rows for each table: a number, or "1%"'] = 10_000
    quarantine: Annotated[str | os.PathLike[str], "folder for refused rows"] = "arrowsync-quarantine"
    restart: Annotated[bool, "give up what an unfinished copy has left, and begin anew"] = False
    not_consistent: Annotated[bool, "resume although the source may have changed in between"] = False
    journal: Journal = "arrowsync"
    workers: Annotated[int | None, "partitions at once; None: up to 4, one for each CPU"] = None
    retry: Annotated[Retry | None, "how often a partition is tried again: Retry(attempts=10)"] = None
    executor: Annotated[Executor | None, "whose workers copy the partitions, such as Dask's"] = None
    observer: Annotated[Observer | None, "a function that is called with every event"] = None
    progress: Annotated[bool | None, "show progress; None: on a terminal and in a notebook"] = None


# The rest says how this call is done, and not what it does.
_OF_A_TRANSFER = {field.name for field in fields(CopyArguments)} - {
    *("source", "target", "executor", "observer", "progress")
}


def transfer_arguments(
    arguments: RowArguments | StreamArguments,
) -> dict[str, Any]:  # Any: of each type
    """Those of the arguments that a Transfer is made of, by name."""
    return {
        field.name: getattr(arguments, field.name)
        for field in fields(arguments)
        if field.name in _OF_A_TRANSFER
    }
