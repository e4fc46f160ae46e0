"""What SQLite keeps on a file, its locks and a killed writer's journal, survives our opening it again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arrowsync

# Dies in the middle of a transaction that has been written to the file in part.
DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin")
connection.execute("update t set name = 'half done'")
os.kill(os.getpid(), 9)
"""


def test_another_connection_to_the_file_does_not_let_go_of_its_locks(
    sqlite_file: Callable[..., Path],
) -> None:
    path = sqlite_file("create table t (id integer)")
    with arrowsync.Database(str(path)).connect(read_only=False) as writer:
        writer.run("begin immediate")
        arrowsync.Database(str(path)).connect().close()
        with pytest.raises(RuntimeError, match="database is locked"):
            sqlite_file("pragma busy_timeout = 0; insert into t values (1)")
        writer.run("rollback")


def test_a_reader_rolls_back_what_a_killed_writer_has_left(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[[Path, str], list[tuple[Any, ...]]]
) -> None:
    path = sqlite_file(
        "create table t (id integer, name text); with recursive n(i) as (values (1) union all "
        "select i + 1 from n where i < 20000) insert into t select i, 'whole' from n"
    )
    assert subprocess.run([sys.executable, "-c", DIE, str(path)]).returncode == -9
    assert os.path.exists(f"{path}-journal")
    assert [table.rows for table in arrowsync.inspect(str(path))] == [20_000]
    with arrowsync.Database(str(path)).connect() as reader:
        assert reader.rows("select distinct name from t") == [("whole",)]
