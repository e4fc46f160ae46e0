"""The tables that are copied: how they are declared, made as Parquet, and loaded into databases.

The functions that load import drivers: call them in a child process.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 20260823
WORDS = (
    "Übergröße",
    "naïve",
    "façade",
    "東京都",
    "данные",
    "carefully",
    "final",
    "deposits",
    "sleep",
    "😀",
    "the",
)
LARGEST_DOCUMENT = 1 << 20  # memory is promised for rows up to 1 MiB


@dataclass(frozen=True)
class Dataset:
    """A table; the declared types mean the same to SQLite and PostgreSQL."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()
    rows_of: str = ""  # the dataset whose rows it shares, when they are not its own

    def ddl(self, table: str | None = None) -> str:
        columns = [f"{name} {declared}" for name, declared in self.columns.items()]
        key = [f"primary key ({', '.join(self.key)})"] * bool(self.key)
        return f"create table {table or self.name} ({', '.join(columns + key)})"


LINEITEM = Dataset(
    "lineitem",
    {
        "l_orderkey": "bigint not null",
        "l_partkey": "bigint not null",
        "l_suppkey": "bigint not null",
        "l_linenumber": "integer not null",
        "l_quantity": "decimal(15,2) not null",
        "l_extendedprice": "decimal(15,2) not null",
        "l_discount": "decimal(15,2) not null",
        "l_tax": "decimal(15,2) not null",
        "l_returnflag": "varchar(1) not null",
        "l_linestatus": "varchar(1) not null",
        "l_shipdate": "date not null",
        "l_commitdate": "date not null",
        "l_receiptdate": "date not null",
        "l_shipinstruct": "varchar(25) not null",
        "l_shipmode": "varchar(10) not null",
        "l_comment": "varchar(44) not null",
    },
    key=("l_orderkey", "l_linenumber"),
)
# Rivals make no keys: beside them arrowsync must not either.
KEYLESS = replace(LINEITEM, name="lineitem_keyless", key=(), rows_of="lineitem")
TEXTS = Dataset("texts", {"id": "integer"} | {f"t{n}": "text" for n in range(1, 17)})
DOCUMENTS = Dataset("documents", {"id": "integer", "body": "text"}, key=("id",))


@dataclass(frozen=True)
class Size:
    """How much a dataset is, as Arrow holds it."""

    rows: int
    bytes: int


def measure_size(parquet: Path) -> Size:
    import pyarrow.parquet as pq

    sizes = [(batch.num_rows, batch.nbytes) for batch in pq.ParquetFile(parquet).iter_batches()]
    return Size(*(sum(column) for column in zip(*sizes, strict=True)))


def make_parquet(name: str, scale: float, path: Path) -> None:
    """Write the rows of the dataset of that name. Always the same ones."""
    if name == "lineitem":
        tpchgen = Path(sys.executable).with_name("tpchgen-cli")
        folder = path.parent / f"{path.name}-tpchgen"
        what = ("parquet", "-s", f"{scale:g}", "--tables=lineitem")
        subprocess.run([tpchgen, *what, "--output-dir", folder], check=True, capture_output=True)
        (folder / "lineitem.parquet").rename(path)
        folder.rmdir()
    else:
        _write_parquet(path, {"texts": _texts, "documents": _documents}[name](scale))


def _write_parquet(path: Path, tables: Iterator[pa.Table]) -> None:
    import pyarrow.parquet as pq

    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _texts(scale: float, rows_a_table: int = 30_000) -> Iterator[pa.Table]:
    """0.6 M rows at scale 1: 16 texts of 0 to 90 characters, one in twenty NULL, about 800 bytes a row."""
    import numpy as np
    import pyarrow as pa

    chance, dice = random.Random(SEED), np.random.default_rng(SEED)
    pool = pa.array([_sentence(chance, chance.randrange(90)) for _ in range(50_000)])
    for first in range(0, round(600_000 * scale), rows_a_table):
        columns: dict[str, pa.Array] = {"id": pa.array(np.arange(first, first + rows_a_table), pa.int32())}
        for number in range(1, 17):
            chosen = dice.integers(0, len(pool), rows_a_table)
            columns[f"t{number}"] = pool.take(pa.array(chosen, mask=dice.random(rows_a_table) < 0.05))
        yield pa.table(columns)


def _documents(scale: float, rows_a_table: int = 50) -> Iterator[pa.Table]:
    """800 rows at scale 1: texts of 0 to 1 MiB, every tenth the largest; about 440 MB."""
    import pyarrow as pa

    chance = random.Random(SEED)
    longest = _sentence(chance, 2 * LARGEST_DOCUMENT).encode()
    for first in range(0, round(800 * scale), rows_a_table):
        numbers = range(first, first + rows_a_table)
        lengths = [chance.randrange(LARGEST_DOCUMENT) if n % 10 else LARGEST_DOCUMENT for n in numbers]
        # Starting anywhere in the long text; characters cut in halves are dropped.
        starts = [chance.randrange(len(longest) - length) for length in lengths]
        bodies = [
            longest[at : at + length].decode(errors="ignore")
            for at, length in zip(starts, lengths, strict=True)
        ]
        yield pa.table({"id": pa.array(numbers, pa.int32()), "body": bodies})


def _sentence(chance: random.Random, characters: int) -> str:
    return " ".join(chance.choices(WORDS, k=characters // 4 + 1))[:characters]


def load_sqlite(dataset: Dataset, parquet: Path, path: Path) -> None:
    """A new file with the declared types, filled as people's tools do it: decimals and dates come as text."""
    import adbc_driver_sqlite.dbapi as sqlite

    with sqlite.connect(f"file:{path}") as connection, connection.cursor() as cursor:
        cursor.execute(dataset.ddl())
        cursor.adbc_ingest(dataset.name, _batches(parquet, spelled_out=True), mode="append")
        connection.commit()


def load_postgresql(dataset: Dataset, parquet: Path, uri: str) -> None:
    """A new table in one transaction: it is there whole or not at all."""
    import adbc_driver_postgresql.dbapi as postgresql

    with postgresql.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(dataset.ddl())
        cursor.adbc_ingest(dataset.name, _batches(parquet, spelled_out=False), mode="append")
        connection.commit()


def _batches(parquet: Path, *, spelled_out: bool) -> pa.RecordBatchReader:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(parquet)

    def loaded(kind: pa.DataType) -> pa.DataType:
        as_text = pa.types.is_string_view(kind) or pa.types.is_decimal(kind) or pa.types.is_date(kind)
        return pa.string() if spelled_out and as_text else kind

    schema = pa.schema([(column.name, loaded(column.type)) for column in file.schema_arrow])
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in file.iter_batches()))
