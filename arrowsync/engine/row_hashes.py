"""Hashes rows of canonical columns, 64 bits each, under seeds that everybody knows or nobody.

fingerprint.py says what a value's canonical form is, and adds the hashes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

HALF = 64  # bits of a seed that Polars takes at a time
LOW = 2**HALF - 1


class Canonical(NamedTuple):
    """A column's values in one type; `apart`, as bytes, those that it cannot hold and that are NULL in it.

    Nothing in `values` can be mistaken for anything in `apart`: bytes that equal a digest are not what it is
    the digest of.
    """

    values: pa.Array
    apart: pa.Array | None = None


def row_hashes(columns: Sequence[Canonical], seeds: Sequence[int]) -> list[pl.Series]:
    """For each seed of 128 bits the hash of each row."""
    names = [str(number) for number in range(len(columns))]
    frame = pl.DataFrame(pa.RecordBatch.from_arrays([column.values for column in columns], names=names))
    return [_hashed(frame, columns, seed) for seed in seeds]


def _hashed(frame: pl.DataFrame, columns: Sequence[Canonical], seed: int) -> pl.Series:
    hashes = frame.hash_rows(seed >> HALF)
    for number, column in enumerate(columns):
        if column.apart is not None and column.apart.null_count < len(column.apart):
            hashes = _with_apart(hashes, number, column.apart, seed >> HALF)
    # Once more, because Polars joins the hashes of a row's texts by xor, shift and add: the lowest bits of
    # what it returns are the xor of theirs, and cancel out under any seed where rows exchange values.
    return hashes.hash(seed & LOW)


def _with_apart(hashes: pl.Series, number: int, apart: pa.Array, seed: int) -> pl.Series:
    places = pl.Series(pc.indices_nonzero(apart.is_valid()))
    frame = pl.DataFrame({"row": hashes.gather(places), "value": pl.Series(apart.drop_null())})
    return hashes.scatter(places, frame.with_columns(column=pl.lit(number, pl.UInt32)).hash_rows(seed))
