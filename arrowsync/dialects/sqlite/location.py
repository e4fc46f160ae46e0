"""SQLite's URIs and paths as files, and the options that open them. Opens nothing but the file's header."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from arrowsync.errors import ConfigError

HEADER = b"SQLite format 3\0"
WAL_VERSION = 2  # bytes 18 and 19 of the header: 1 is a rollback journal
_OURS = ("mode", "cache", "immutable")  # parameters of a file: URI that this module decides

_descriptors: dict[tuple[int, int], int] = {}  # by device and inode
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Location:
    """A database file and what else its URI asked of SQLite (vfs=…, nolock=…)."""

    path: Path
    parameters: tuple[tuple[str, str], ...] = ()

    def uri(self, **decided: str) -> str:
        """The `file:` URI that the driver is given; the user's own it would read otherwise."""
        query = urlencode([*self.parameters, *decided.items()])
        return f"file:{quote(str(self.path))}?{query}"


def locate(uri: str) -> Location:
    """Read sqlite:///relative, sqlite:////absolute, file:… or a bare path. Raises ConfigError."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme.partition("+")[0].lower() == "sqlite":
        path, query = _without_host(rest)
    elif uri.startswith("file:"):
        path, query = _file_uri(uri)
    elif separator:
        raise ConfigError(
            f"'{scheme}://…' is no SQLite URI", hint="Write sqlite:///relative.db or sqlite:////absolute.db"
        )
    else:
        path, query = uri, ""
    if path in ("", ":memory:", "/:memory:"):
        raise ConfigError(
            "an in-memory SQLite database is seen by one connection alone",
            hint="Name a file, such as sqlite:///copy.db",
        )
    parameters = tuple((k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k not in _OURS)
    return Location(Path(os.path.realpath(path)), parameters)


def _without_host(rest: str) -> tuple[str, str]:
    location, _, query = rest.partition("?")
    host, slash, path = location.partition("/")
    if host or not slash:
        if not location:
            return "", query
        raise ConfigError(
            "the URI names a host, which SQLite has none",
            # Before an @ stands what may be a password: no error shows it.
            hint=f"A relative path has three slashes: sqlite:///{rest.rpartition('@')[2].partition('?')[0]}",
        )
    return unquote(path), query


def _file_uri(uri: str) -> tuple[str, str]:
    path, _, query = uri.removeprefix("file:").partition("?")
    if path.startswith("//"):
        host, _, path = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise ConfigError("the URI names a host, which SQLite has none")
        path = f"/{path}"
    return unquote(path), query


def is_database(path: Path) -> bool:
    """Whether there is a SQLite file, by its header: an empty file is none yet."""
    return path.is_file() and header(path)[:16] == HEADER


def source_uri(location: Location) -> str:
    """Open for reading; raises ConfigError for what is missing, closed or no SQLite database."""
    path = location.path
    if not path.exists():
        raise ConfigError(f"no file {str(path)!r}", hint="A relative path starts in the working directory")
    start = header(path)
    if start[:16] != HEADER and start:
        raise ConfigError(f"{str(path)!r} is no SQLite database")
    if WAL_VERSION in start[18:20] and not _writable(path.parent):
        # Readers of a WAL file must write its -shm; without a -wal beside it nothing is missing without one.
        if not Path(f"{path}-wal").exists():
            return location.uri(mode="ro", immutable="1")
        if not Path(f"{path}-shm").exists():
            raise ConfigError(
                f"{str(path)!r} has a write-ahead log that cannot be read here",
                hint="Its folder is read-only: copy the file with its -wal into another",
            )
    if Path(f"{path}-journal").exists() and _writable(path) and _writable(path.parent):
        return location.uri(mode="rw")  # a killed writer's journal is rolled back by the next one who reads
    return location.uri(mode="ro")


def sink_uri(location: Location) -> str:
    """Open for writing, make the file if need be; raises ConfigError for what cannot become a database."""
    path = location.path
    if not path.exists():
        if not path.parent.is_dir():
            raise ConfigError(f"there is no folder {str(path.parent)!r}", hint="Make it first")
        if not _writable(path.parent):
            raise ConfigError(f"the folder {str(path.parent)!r} is read-only")
        return location.uri(mode="rwc")
    start = header(path)
    if start[:16] != HEADER and start:
        raise ConfigError(f"{str(path)!r} is no SQLite database")
    if not _writable(path):
        raise ConfigError(f"{str(path)!r} is read-only")
    if not _writable(path.parent):
        raise ConfigError(
            f"the folder of {str(path)!r} is read-only", hint="SQLite writes a journal beside the file"
        )
    return location.uri(mode="rw")


def header(path: Path) -> bytes:
    """The first bytes of the file; none of an empty one, which is an empty database."""
    if not path.is_file():
        raise ConfigError(f"{str(path)!r} is {'a folder' if path.is_dir() else 'no file'}")
    try:
        return os.pread(_descriptor(path), 100, 0)
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _descriptor(path: Path) -> int:
    """The file, open for good: to close it would drop every lock that SQLite has on it in this process.

    POSIX has it so; another process could then write in the middle of our transaction. Deleted files are
    let go.
    """
    with _opening:
        for key, descriptor in list(_descriptors.items()):
            if not os.fstat(descriptor).st_nlink:
                os.close(_descriptors.pop(key))
        status = path.stat()
        key = status.st_dev, status.st_ino
        if key not in _descriptors:
            _descriptors[key] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _descriptors[key]


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
