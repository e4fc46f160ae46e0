"""Where data lives. `endpoint()` makes an endpoint of what a user names."""

from __future__ import annotations

import os
from urllib.parse import unquote

from arrowsync.endpoints.database import Database
from arrowsync.endpoints.files import SUFFIX, Files
from arrowsync.endpoints.frames import ArrowStream, Frame
from arrowsync.endpoints.secrets import fill_in
from arrowsync.errors import ConfigError

__all__ = ["Database", "Files", "Frame", "endpoint", "storage"]


def endpoint(place: object) -> Database | Files | Frame:
    """The endpoint of a URI, a path, a frame, or an endpoint itself. Raises ConfigError for anything else."""
    match place:
        case Database() | Files() | Frame():
            return place
        case ArrowStream():
            return Frame.of(place)
        case _:
            text = str(place)
            files = _parquet(fill_in(text))
            return Database(text) if files is None else Files(files)


def storage(place: object) -> Database | Files:
    """The endpoint of a place that can be written to. Raises ConfigError for a frame."""
    found = endpoint(place)
    if isinstance(found, Frame):
        raise ConfigError(f"{found} cannot be written to", hint="Name a database or a file")
    return found


def _parquet(text: str) -> str | None:
    """The path where a text means Parquet files: x.parquet, a folder, a new folder with its slash."""
    path = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    if "://" in path:
        return None
    # "host=/run/postgresql/" is libpq's way to name a server.
    new_folder = path.endswith("/") and "=" not in path
    return path if new_folder or path.lower().endswith(SUFFIX) or os.path.isdir(path) else None
