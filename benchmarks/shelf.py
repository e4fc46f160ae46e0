"""Where benchmarks read and write: datasets in every kind of place, made when first asked for; a server."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data import Dataset, Size, load_postgresql, load_sqlite, make_parquet, measure_size
from benchmarks.harness import Options, in_child, say
from tests.fix_postgresql import (
    LocalServer,
    Server,
    free_port,
    given_server,
    installations,
    let_others_reach,
    make_cluster,
    server_user,
)

Route = tuple[str, str]
ROUTES: tuple[Route, ...] = (
    ("postgresql", "postgresql"),
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("parquet", "postgresql"),
    ("postgresql", "parquet"),
)


def routes(options: Options, usual: Sequence[Route] = ROUTES) -> list[Route]:
    """The routes that the command line asks for, else the benchmark's usual ones."""
    source_and_target = [tuple(name.split("-")) for name in options.routes]
    return [(source, target) for source, target in source_and_target or usual]


@contextmanager
def shelf(options: Options) -> Iterator[Shelf]:
    """The shelf of the chosen scale, with its server running."""
    options.data.mkdir(parents=True, exist_ok=True)
    with alone(options.data):
        if options.postgresql:
            yield Shelf(options.data, options.scale, given_server(options.postgresql))
            return
        server = _own_server(options.data)
        server.start()
        try:
            yield Shelf(options.data, options.scale, server)
        finally:
            server.stop()


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Two runs would measure each other, and empty each other's targets: the second one waits."""
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another benchmark in {data}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _own_server(data: Path) -> LocalServer:
    """A cluster that stays in the data folder, of the newest installation found, with default settings."""
    newest = installations()[0]
    folder = data / f"postgresql-{newest.major}"
    settings = folder / "data" / "postgresql.conf"
    if not settings.exists():
        folder.mkdir(exist_ok=True)
        if server_user():
            let_others_reach(folder)
        make_cluster(newest, folder, free_port())
        with settings.open("a") as more:
            more.write(
                "fsync = on\nfull_page_writes = on\n"
            )  # tests switch them off; nobody copies like that
    ports = re.findall(r"^port = (\d+)", settings.read_text(), re.MULTILINE)
    password = (folder / "password").read_text()
    return LocalServer("postgres", password, "127.0.0.1", int(ports[-1]), installation=newest, folder=folder)


class Shelf:
    """Sources that are kept, and targets that are empty each time."""

    def __init__(self, data: Path, scale: float, server: Server) -> None:
        self.data = data
        self.scale = scale
        self.server = server

    def at(self, scale: float) -> Shelf:
        return Shelf(self.data, scale, self.server)

    def source(self, kind: str, dataset: Dataset) -> str:
        """The URI or path of the dataset in that kind of place."""
        return {"parquet": self._parquet, "sqlite": self._sqlite, "postgresql": self._postgresql}[kind](
            dataset
        )

    def size(self, dataset: Dataset) -> Size:
        return in_child(measure_size, Path(self._parquet(dataset)))

    def target(self, kind: str, dataset: Dataset, name: str = "target") -> str:
        """An empty place: a database without tables, or a path where nothing is."""
        if kind == "postgresql":
            self._empty_database(f"arrowsync_bench_{name}")
            return self.server.uri(f"arrowsync_bench_{name}")
        folder = self.data / "targets" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return (
            f"sqlite:///{folder / 'target.db'}"
            if kind == "sqlite"
            else str(folder / f"{dataset.name}.parquet")
        )

    def _empty_database(self, name: str) -> None:
        self.server.execute(f"drop database if exists {name} with (force)")
        self.server.execute(f"create database {name} template template0")
        self.server.execute("checkpoint")  # or the next run pays for the one before

    def _parquet(self, dataset: Dataset) -> str:
        name = dataset.rows_of or dataset.name
        path = self.data / f"sf{self.scale:g}" / f"{name}.parquet"
        _once(path, lambda unfinished: in_child(make_parquet, name, self.scale, unfinished))
        return str(path)

    def _sqlite(self, dataset: Dataset) -> str:
        parquet = Path(self._parquet(dataset))
        path = parquet.with_name(f"{dataset.name}.db")
        _once(path, lambda unfinished: in_child(load_sqlite, dataset, parquet, unfinished))
        return f"sqlite:///{path}"

    def _postgresql(self, dataset: Dataset) -> str:
        # A database for each table: pgloader and pgcopydb copy whole databases.
        name = f"arrowsync_bench_{dataset.name}_sf{self.scale:g}".replace(".", "_")
        uri, parquet = self.server.uri(name), Path(self._parquet(dataset))
        if not self.server.execute("select 1 from pg_database where datname = %s", (name,)):
            self.server.execute(f"create database {name} template template0 encoding 'UTF8' locale 'C'")
        if not self.server.execute(
            "select 1 from pg_class where relname = %s", (dataset.name,), database=name
        ):
            say(f"making {name}")
            in_child(load_postgresql, dataset, parquet, uri)
            self.server.execute(f"vacuum (analyze, freeze) {dataset.name}", database=name)
        return uri


def _once(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file unless it is there; what was interrupted is made again."""
    if path.exists():
        return
    say(f"making {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"unfinished-{path.name}")
    unfinished.unlink(missing_ok=True)
    make(unfinished)
    unfinished.rename(path)
