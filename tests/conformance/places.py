"""The endpoints that the conformance suite copies between, each with another client to look at its cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.fix_postgresql import Database


class Place(Protocol):
    """A database under test."""

    @property
    def uri(self) -> Any:  # a URI, or arrowsync's Database
        ...

    def run(self, sql: str) -> None:
        """Run statements by another client."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows as another client reads them."""


@dataclass(frozen=True)
class PostgreSQLPlace:
    database: Database

    @property
    def uri(self) -> str:
        return self.database.uri

    def run(self, sql: str) -> None:
        self.database.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.execute(sql)


@dataclass(frozen=True)
class SQLitePlace:
    path: Path
    make: Callable[..., Path]
    read: Callable[[Path, str], list[tuple[Any, ...]]]

    @property
    def uri(self) -> str:
        return str(self.path)

    def run(self, sql: str) -> None:
        self.make(sql, self.path.name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.read(self.path, sql)
