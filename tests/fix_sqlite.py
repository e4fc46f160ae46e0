"""SQLite files, made and read by Python's sqlite3 in a child process.

Never in this one: two SQLite libraries in one process do not see each other's locks, and a committed write of
arrowsync's can vanish.
"""

import marshal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

# marshal: it is built in, takes a function's code, and SQLite's five kinds of value are all it has to carry.
MAKE = """
import marshal, sqlite3, sys, types
path, step = marshal.load(sys.stdin.buffer)
with sqlite3.connect(path) as connection:
    if isinstance(step, str):
        connection.executescript(step)
    else:
        types.FunctionType(step, {"__builtins__": __builtins__, "sqlite3": sqlite3})(connection)
connection.close()
"""
READ = """
import marshal, sqlite3, sys
path, sql = marshal.load(sys.stdin.buffer)
connection = sqlite3.connect(path)
connection.text_factory = lambda text: text.decode(errors="surrogateescape")
rows = connection.execute(sql).fetchall()
connection.close()
marshal.dump(rows, sys.stdout.buffer)
"""

SqliteStep = str | Callable[[Any], object]


def in_child(script: str, *arguments: Any) -> bytes:  # what marshal takes
    """Run Python without site packages (15 ms sooner there); its stdout."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], input=marshal.dumps(arguments), capture_output=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Callable[..., Path]:
    """Makes or changes a SQLite file in the test's folder: by SQL, or by a function of a sqlite3 connection.

    The function travels as its code alone: it imports what it needs, and names nothing around it but sqlite3.
    """

    def make(step: SqliteStep = "", name: str = "source.db") -> Path:
        path = tmp_path / name
        if isinstance(step, FunctionType) and (step.__closure__ or step.__defaults__):
            raise ValueError(
                f"{step.__qualname__}: its code alone travels to the child, without what it names"
            )
        in_child(MAKE, str(path), step if isinstance(step, str) else step.__code__)
        return path

    return make


@pytest.fixture
def sqlite_rows() -> Callable[[Path, str], list[tuple[Any, ...]]]:
    """Reads a SQLite file with another client than arrowsync's; broken UTF-8 comes as lone surrogates."""

    def read(path: Path, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = marshal.loads(in_child(READ, str(path), sql))
        return rows

    return read
