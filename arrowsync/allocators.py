"""Selects memory allocators that return freed pages, before pyarrow is imported.

Arrow's default pool keeps freed pages for later, and glibc has a heap for each thread that keeps them, too:
memory grows from partition to partition. SQLite → PostgreSQL took 160 MiB for 0.6 M rows and 251 MiB for 6 M;
with the C library's malloc and one heap 84 and 99 MiB, in the same time. Parquet → PostgreSQL at a limit of
64 MiB took 64 and 32 MiB.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

POOL = "ARROW_DEFAULT_MEMORY_POOL"  # read once, by pyarrow's import
M_ARENA_MAX = -8  # of glibc's malloc.h


@contextmanager
def lean() -> Iterator[None]:
    """Lean allocators for the pyarrow that is imported inside, unless the user has chosen others.

    A process that has loaded pyarrow already keeps its pool: other work counts on it.
    """
    one_heap()
    if POOL in os.environ or "pyarrow" in sys.modules:
        yield
        return
    os.environ[POOL] = "system"
    try:
        yield
    finally:
        os.environ.pop(POOL, None)  # another thread may have been here, too


def one_heap() -> None:
    """One glibc heap for all threads that are still to begin, for good, unless the user has said how many."""
    if not {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        with suppress(AttributeError, OSError):  # macOS and musl have no mallopt
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
