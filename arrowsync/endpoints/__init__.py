"""Where data lives. `endpoint()` makes an endpoint of what a user names."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.sqlite.location import is_database
from arrowsync.endpoints.database import Database
from arrowsync.endpoints.drivers import Driver
from arrowsync.endpoints.files.formats import FORMATS, format_named
from arrowsync.endpoints.files.place import Files
from arrowsync.endpoints.files.staging import Staging
from arrowsync.endpoints.frames import ArrowStream, Frame
from arrowsync.endpoints.pandas_index import is_pandas
from arrowsync.endpoints.secrets import fill_in, hide
from arrowsync.errors import ConfigError

__all__ = ["Database", "Dialect", "Driver", "Files", "Frame", "endpoint", "storage"]

*_FIRST, _LAST = "SQLite", "PostgreSQL", *(format.name for format in FORMATS.values())
SUPPORTED = f"{', '.join(_FIRST)} and {_LAST}"
# What people name expecting more than a SQLite file of that name (sqlite:///x.csv is one all the same), and
# what makes a frame of it.
OTHER_SUFFIXES = {
    **dict.fromkeys((".csv", ".tsv"), "polars.read_csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "polars.read_ndjson"),
    **dict.fromkeys((".arrow", ".ipc", ".feather"), "polars.read_ipc"),
    ".json": "polars.read_json",
    ".xlsx": "polars.read_excel",
    ".avro": "polars.read_avro",
    ".orc": "pyarrow.orc.read_table",
    ".duckdb": "duckdb.connect(…).table",
}
_WAYS = {  # from what people have in their hands, by its type's name
    "dict": "Make a frame of it: polars.DataFrame(…) or pyarrow.table(…)",
    "list": "Make a frame of it: polars.DataFrame(…) or pyarrow.Table.from_pylist(…)",
    "generator": "Make a reader of it: pyarrow.RecordBatchReader.from_batches(schema, …)",
    "Engine": "Give its URI: engine.url.render_as_string(hide_password=False), without +driver in the scheme",
    "Connection": "Give the URI or path that it was opened with",
}


def endpoint(place: object, *, index: bool | None = None) -> Database | Files | Frame:
    """The endpoint of a URI, a path, a frame, or an endpoint itself. Raises ConfigError for anything else.

    `index` says what becomes of a pandas frame's index; no other place may be given one.
    """
    if index is not None and not is_pandas(place):
        raise ConfigError("index is for pandas frames only", hint="Leave index out")
    match place:
        case Database() | Files() | Frame():
            return place
        case ArrowStream():
            return Frame.of(place, index)
        case str() | os.PathLike():
            return _named(os.fspath(place))
    raise _not_a_place(place)


def _not_a_place(value: object) -> ConfigError:
    name = type(value).__name__
    if name == "LazyFrame":
        text = "a LazyFrame cannot be read directly: call .collect(), or pass .collect_batches()"
        return ConfigError(text)
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return ConfigError(
        f"{article} {name} is not a database, a file or a frame",
        hint=_WAYS.get(name, f"Give a URI, a path or a frame; there are {SUPPORTED}"),
    )


def storage(place: object) -> Database | Files:
    """The endpoint of a place that can be written to. Raises ConfigError for a frame."""
    found = endpoint(place)
    if isinstance(found, Frame):
        raise ConfigError(
            f"{found} cannot be written to",
            hint="Give a database or a file; arrowsync.stream(…).read_all() reads into memory",
        )
    return found


def _named(text: str | bytes) -> Database | Files:
    if isinstance(text, bytes):
        raise ConfigError("a path must be text, not bytes", hint="Write os.fsdecode(path)")
    there = fill_in(text)
    if not there.strip():
        raise ConfigError("the URI or path is empty", hint=f"There are {SUPPORTED}")
    files = _files(there)
    if files is not None:
        return Files(files)
    if there == "-":
        raise ConfigError("'-' is not supported yet", hint=f"There are {SUPPORTED}")
    if read := _other_format(there):
        raise ConfigError(
            f"{hide(there)!r} is not supported yet",
            hint=f"There are {SUPPORTED}; in Python a frame can be copied, such as {read}(…) makes",
        )
    return Database(text)


def _other_format(text: str) -> str | None:
    """What reads a path or file: URI that ends as a format does which is not there yet; no SQLite file."""
    if "://" in text and not text.startswith("file://"):
        return None
    path = Path(unquote(text.removeprefix("file://").removeprefix("file:").partition("?")[0]))
    return None if is_database(path) else OTHER_SUFFIXES.get(path.suffix.lower())


def _files(text: str) -> str | None:
    """The path where a text means files: x.parquet, a folder, a new folder with its slash."""
    path = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    if "://" in path:
        return None
    # "host=/run/postgresql/" is libpq's way to name a server.
    new_folder = path.endswith("/") and "=" not in path
    is_folder = new_folder or Staging.of(path).current.is_dir()
    return path if is_folder or format_named(path) else None
