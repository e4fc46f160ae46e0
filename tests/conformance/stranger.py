"""A database that arrowsync has no dialect for: DuckDB, by the ADBC driver that its wheel carries."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import arrowsync


def driver() -> arrowsync.Driver:
    found = find_spec("_duckdb")
    assert found is not None, "the test extra has it"
    return arrowsync.Driver(str(found.origin), entrypoint="duckdb_adbc_init")


@dataclass(frozen=True)
class StrangerPlace:
    """Read and written by DuckDB's own client, which is closed whenever arrowsync has the file."""

    path: Path

    @property
    def uri(self) -> arrowsync.Database:
        return arrowsync.Database(f"duckdb://{self.path}", driver=driver())

    def run(self, sql: str) -> None:
        self.rows(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(self.path) as connection:
            return connection.execute(sql).fetchall()
