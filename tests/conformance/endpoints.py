"""The endpoints under contract. One joins by a small class: its place, and another client's view of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from tests.conformance.places import Place

SQL_TYPES = {
    pa.int16(): "smallint",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.date32(): "date",
}


@dataclass(frozen=True)
class GivenTable:
    """A table as data: its rows, the column that names them, and those that take no NULL."""

    name: str
    rows: pa.Table
    key: str | None = None
    required: tuple[str, ...] = ()


class Endpoint(ABC):
    """Where a table is put and looked at without arrowsync."""

    adds_rows: ClassVar[bool] = True
    refused: ClassVar[int | None] = None  # by a column of int16 that takes no NULL

    @property
    @abstractmethod
    def place(self) -> object:
        """What arrowsync takes."""

    @abstractmethod
    def put(self, given: GivenTable) -> None: ...

    @abstractmethod
    def ids(self, name: str) -> list[int]:
        """The ids of the table's rows in order; none where there is no table."""


@dataclass(frozen=True)
class InSQL(Endpoint):
    """A database whose client takes standard SQL."""

    database: Place

    @property
    def place(self) -> object:
        return self.database.uri

    def put(self, given: GivenTable) -> None:
        columns = [
            f"{column.name} {SQL_TYPES[column.type]}{' not null' * (column.name in given.required)}"
            for column in given.rows.schema
        ]
        key = [f"primary key ({given.key})"] if given.key else []
        self.database.run(f"create table {given.name} ({', '.join([*columns, *key])})")
        rows = [f"({', '.join(map(literal, row.values()))})" for row in given.rows.to_pylist()]
        self.database.run(f"insert into {given.name} values {', '.join(rows)}")

    def ids(self, name: str) -> list[int]:
        return [int(id) for (id,) in self.database.rows(f"select id from {name} order by id")]


def literal(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


@dataclass(frozen=True)
class InParquet(Endpoint):
    """A folder of parts."""

    path: Path
    refused: ClassVar[int | None] = 70_000

    @property
    def place(self) -> object:
        return f"{self.path}/"

    def put(self, given: GivenTable) -> None:
        self.path.mkdir()
        pq.write_table(given.rows, self.path / "part-0.parquet")

    def ids(self, name: str) -> list[int]:
        return sorted(pq.read_table(self.path).column("id").to_pylist()) if self.path.exists() else []


class InOneFile(InParquet):
    """A Parquet file, which is written once."""

    adds_rows: ClassVar[bool] = False

    @property
    def place(self) -> object:
        return str(self.path)

    def put(self, given: GivenTable) -> None:
        pq.write_table(given.rows, self.path)


@dataclass
class InMemory(Endpoint):
    """A pyarrow table."""

    rows: list[pa.Table] = field(default_factory=list)

    @property
    def place(self) -> object:
        return self.rows[0]

    def put(self, given: GivenTable) -> None:
        self.rows.append(given.rows)

    def ids(self, name: str) -> list[int]:
        return sorted(self.rows[0].column("id").to_pylist())
