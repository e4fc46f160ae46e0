"""Loads the themed fixtures; each plugin says what it gives."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

pytest_plugins = ["tests.fix_postgresql", "tests.fix_sqlite", "tests.fix_proxy", "tests.fix_pooler"]

# pytest-timeout bounds whole tests; an example's own deadline only fails on a busy machine.
settings.register_profile("arrowsync", deadline=None)
settings.load_profile("arrowsync")

# pytest's readline puts the terminal's size there, behind Python's back, and workers and children inherit it.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
    os.unsetenv(name)

# Databases and tmp_path in memory, where Linux has room for them: a database is 300 files, which cost 10 ms to
# make there, and 30 to 300 ms on a disk. TMPDIR says otherwise.
MEMORY_DISK = "/dev/shm"
ROOM_BYTES = 6 << 30  # four workers take 3 GiB at most; what containers have there, 64 MiB, does not do
if "TMPDIR" not in os.environ and os.access(MEMORY_DISK, os.W_OK):
    room_bytes = min(shutil.disk_usage(MEMORY_DISK).free, psutil.virtual_memory().available)
    if room_bytes >= ROOM_BYTES:
        tempfile.tempdir = MEMORY_DISK


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room, for a socket's name or on a line; tmp_path may be long."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder).resolve()
