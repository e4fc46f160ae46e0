"""Where data lives. `endpoint()` makes an endpoint of what a user names."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from arrowsync.dialects.sqlite.location import is_database
from arrowsync.endpoints.database import Database
from arrowsync.endpoints.files import Files
from arrowsync.endpoints.frames import ArrowStream, Frame
from arrowsync.endpoints.pandas_index import is_pandas
from arrowsync.endpoints.parquet_target import SUFFIX
from arrowsync.endpoints.secrets import fill_in, hide
from arrowsync.endpoints.staging import Staging
from arrowsync.errors import ConfigError

__all__ = ["Database", "Files", "Frame", "endpoint", "storage"]

SUPPORTED = "SQLite, PostgreSQL and Parquet"
# What people name expecting more than a SQLite file of that name; sqlite:///x.csv is one all the same.
OTHER_SUFFIXES = (
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xlsx"),
    *(".arrow", ".ipc", ".feather", ".avro", ".orc", ".duckdb"),
)


def endpoint(place: object, *, index: bool | None = None) -> Database | Files | Frame:
    """The endpoint of a URI, a path, a frame, or an endpoint itself. Raises ConfigError for anything else.

    `index` says what becomes of a pandas frame's index; no other place may be given one.
    """
    if index is not None and not is_pandas(place):
        raise ConfigError("index: only a pandas frame has one", hint="Leave index out")
    match place:
        case Database() | Files() | Frame():
            return place
        case ArrowStream():
            return Frame.of(place, index)
        case str() | os.PathLike():
            return _named(os.fspath(place))
    hint = f"Name a URI or a path, or give a frame; there are {SUPPORTED}"
    if type(place).__name__ == "LazyFrame":
        hint = "Call collect() on it, or sink_parquet() and copy that file"
    raise ConfigError(f"a {type(place).__name__} is no place of tables", hint=hint)


def storage(place: object) -> Database | Files:
    """The endpoint of a place that can be written to. Raises ConfigError for a frame."""
    found = endpoint(place)
    if isinstance(found, Frame):
        raise ConfigError(f"{found} cannot be written to", hint="Name a database or a file")
    return found


def _named(text: str | bytes) -> Database | Files:
    if isinstance(text, bytes):
        raise ConfigError("a path of bytes is no place of tables", hint="Name it as text: os.fsdecode(path)")
    there = fill_in(text)
    if not there.strip():
        raise ConfigError("an empty text is no place of tables", hint=f"There are {SUPPORTED}")
    files = _parquet(there)
    if files is not None:
        return Files(files)
    if there == "-" or _is_of_other_format(there):
        raise ConfigError(f"{hide(there)!r} is not supported yet", hint=f"There are {SUPPORTED}")
    return Database(text)


def _is_of_other_format(text: str) -> bool:
    """Whether a path or file: URI ends as a format does that is not there yet; not a SQLite file's."""
    if "://" in text and not text.startswith("file://"):
        return False
    path = Path(unquote(text.removeprefix("file://").removeprefix("file:").partition("?")[0]))
    return path.suffix.lower() in OTHER_SUFFIXES and not is_database(path)


def _parquet(text: str) -> str | None:
    """The path where a text means Parquet files: x.parquet, a folder, a new folder with its slash."""
    path = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    if "://" in path:
        return None
    # "host=/run/postgresql/" is libpq's way to name a server.
    new_folder = path.endswith("/") and "=" not in path
    is_folder = new_folder or Staging.of(path).current.is_dir()
    return path if is_folder or path.lower().endswith(SUFFIX) else None
