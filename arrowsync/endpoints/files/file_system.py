"""What is asked of the file system: names and bytes that survive a crash, and files told apart."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from arrowsync.errors import ArrowsyncError, TransientError

UNFINISHED = ".tmp"
TAIL = 4096  # bytes from a file's end: in most Parquet files all of the footer


def aside(path: Path) -> Path:
    """A hidden name beside `path` that no other writer has: two of them must never write into one file."""
    return path.with_name(f".{path.name.lstrip('.')}.{uuid4().hex[:12]}{UNFINISHED}")


def write_whole(path: Path, text: str) -> None:
    """Give `path` a new content; after a crash it has this one or the one before."""
    unfinished = aside(path)
    unfinished.write_text(text, encoding="utf-8")
    sync(unfinished)
    os.replace(unfinished, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Say of an error of the file system where it was, and whether it may go away."""
    try:
        yield
    except FileNotFoundError as error:
        # Another run of the same transfer has cleared what it took for a dead one's.
        raise TransientError(f"{path} was taken away while it was written") from error
    except (OSError, pa.ArrowException) as error:
        raise ArrowsyncError(f"cannot write {path}: {str(error).partition(chr(10))[0]}") from error


def version(paths: Sequence[str]) -> str:
    """Another one when a file is added, taken away, written, or another one stands in its place."""
    return _digest([_facts(path) for path in paths])


def content_mark(path: Path) -> str:
    """What tells a file's content from another one's, wherever it lies and whenever it came there."""
    _, _, size, _, _, tail = _facts(str(path))
    return _digest((size, tail))


def _facts(path: str) -> tuple[str, int, int, int, int, bytes]:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        file.seek(max(0, status.st_size - TAIL))
        tail = file.read()
    return path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, tail


def _digest(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
