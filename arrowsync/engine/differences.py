"""Names the rows in which two tables differ, from hashes of keys and rows. verify.py says whether they do.

Each side is read once more, in as many passes as memory asks for: a pass keeps 16 bytes of each row whose key
hash falls into it. The rows to be shown are read last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from arrowsync.core.check import Difference
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.engine import batches, fingerprint

SHOWN = 20  # differing rows named of each kind: enough to see the pattern
ROW_BYTES = 64  # of a pass, per row and side: two hashes, and the join's own tables

Batches = Callable[[], Iterator[pa.RecordBatch]]  # one more reading of a side, from its beginning


@dataclass(frozen=True, slots=True)
class Side:
    """A table that can be read again and again, always the same rows."""

    plan: TablePlan  # both sides' with the same secret seed, which their rows are hashed under
    read: Batches
    rows: int

    @property
    def columns(self) -> tuple[ColumnPlan, ...]:
        return self.plan.columns


@dataclass(frozen=True, slots=True)
class Differences:
    missing: int
    extra: int
    different: int
    examples: tuple[Difference, ...]


def find_differences(source: Side, target: Side, key: Sequence[int], *, memory: int) -> Differences:
    """The rows that differ, by the columns at the positions `key`; by whole rows when it is empty.

    `memory` in bytes bounds what a pass keeps.
    """
    passes = (source.rows + target.rows) * ROW_BYTES // memory + 1
    found = [_one_pass(source, target, key, passes, number) for number in range(passes)]
    return _summed(found, source, target, key)


def find_lacking(source: Side, target: Side, key: Sequence[int], *, memory: int) -> Differences:
    """The source's rows that the target lacks, or has only with other values under the same key."""
    passes = 2 * source.rows * ROW_BYTES // memory + 1
    found = [_lacking(source, target, key, passes, number) for number in range(passes)]
    return _summed(found, source, target, key)


def _summed(
    found: Sequence[dict[str, pl.DataFrame]], source: Side, target: Side, key: Sequence[int]
) -> Differences:
    counts = {kind: sum(each[kind].height for each in found) for kind in ("missing", "extra", "different")}
    examples: list[Difference] = []
    if key:
        keys = {kind: pl.concat([each[kind] for each in found]).head(SHOWN) for kind in counts}
        examples = list(_examples(source, target, key, keys))
    return Differences(**counts, examples=tuple(examples))


def _one_pass(
    source: Side, target: Side, key: Sequence[int], passes: int, number: int
) -> dict[str, pl.DataFrame]:
    ours, theirs = (_hashes(side, key, passes, number) for side in (source, target))
    if not key:
        # The same row may stand several times: compare how often each does.
        both = _counted(ours).join(_counted(theirs), on="row", how="full", coalesce=True, suffix="_other")
        both = both.with_columns(surplus=pl.col("len").fill_null(0) - pl.col("len_other").fill_null(0))
        return {
            "missing": _repeated(both.filter(pl.col("surplus") > 0), pl.col("surplus")),
            "extra": _repeated(both.filter(pl.col("surplus") < 0), -pl.col("surplus")),
            "different": both.clear(),
        }
    return {
        "missing": ours.join(theirs, on="key", how="anti"),
        "extra": theirs.join(ours, on="key", how="anti"),
        "different": ours.join(theirs, on="key").filter(pl.col("row") != pl.col("row_right")),
    }


def _lacking(
    source: Side, target: Side, key: Sequence[int], passes: int, number: int
) -> dict[str, pl.DataFrame]:
    ours = _hashes(source, key, passes, number)
    # The target may have many more rows than were copied, and under one key older ones too.
    theirs = _hashes(target, key, passes, number, among=ours["key"])
    return {
        "missing": ours.join(theirs, on="key", how="anti"),
        "extra": theirs.clear(),
        "different": ours.join(theirs, on="key", how="semi").join(theirs, on=["key", "row"], how="anti"),
    }


def _counted(hashes: pl.DataFrame) -> pl.DataFrame:
    return hashes.group_by("row").len().with_columns(pl.col("len").cast(pl.Int64))


def _repeated(rows: pl.DataFrame, times: pl.Expr) -> pl.DataFrame:
    return rows.select(pl.col("row").repeat_by(times).explode())


def _hashes(
    side: Side, key: Sequence[int], passes: int, number: int, among: pl.Series | None = None
) -> pl.DataFrame:
    """The hashes of key and row, of the rows whose key falls into this pass and is `among` those wanted."""
    frames = [pl.DataFrame(schema={"key": pl.UInt64, "row": pl.UInt64})]
    for batch in side.read():
        arrays = batches.decode(batch, side.columns)
        row = fingerprint.secret_hashes(arrays, side.columns, side.plan.secret)
        of_key = _key_hashes(arrays, side, key) if key else row
        frame = pl.DataFrame({"key": of_key, "row": row})
        if among is not None:
            frame = frame.join(among.to_frame(), on="key", how="semi")
        frames.append(frame if passes == 1 else frame.filter(pl.col("key") % passes == number))
    return pl.concat(frames)


def _key_hashes(arrays: Sequence[pa.Array], side: Side, key: Sequence[int]) -> pl.Series:
    return fingerprint.secret_hashes(
        [arrays[at] for at in key], [side.columns[at] for at in key], side.plan.secret
    )


def _examples(
    source: Side, target: Side, key: Sequence[int], keys: dict[str, pl.DataFrame]
) -> Iterator[Difference]:
    wanted = {kind: set(frame["key"].to_list()) for kind, frame in keys.items()}
    ours = _rows(source, key, wanted["missing"] | wanted["different"])
    theirs = _rows(target, key, wanted["extra"] | wanted["different"])
    sides: dict[Literal["missing", "extra"], dict[int, _Row]] = {"missing": ours, "extra": theirs}
    for kind, rows in sides.items():
        for number in sorted(wanted[kind] & rows.keys(), key=lambda n: rows[n].order):
            yield Difference(kind, rows[number].key)
    for number in sorted(wanted["different"] & ours.keys() & theirs.keys(), key=lambda n: ours[n].order):
        one, other = ours[number], theirs[number]
        columns = [
            column.source.name
            for column, a, b in zip(source.columns, one.hashes, other.hashes, strict=True)
            if a != b
        ]
        yield Difference("different", one.key, tuple(columns))


@dataclass(frozen=True, slots=True)
class _Row:
    """A row to be shown: its key as text, what puts it in order, and the hash of each of its values."""

    key: dict[str, str]
    order: list[tuple[bool, bool, Any]]  # Any: a column's values are all of one type
    hashes: list[int]


def _rows(side: Side, key: Sequence[int], wanted: set[int]) -> dict[int, _Row]:
    rows: dict[int, _Row] = {}
    for batch in side.read() if wanted else ():
        arrays = batches.decode(batch, side.columns)
        of_key = _key_hashes(arrays, side, key)
        for at in of_key.is_in(list(wanted)).arg_true():
            values = [array.slice(at, 1) for array in arrays]
            rows[of_key[at]] = _Row(
                {side.columns[i].source.name: str(values[i][0].as_py()) for i in key},
                [_order(values[i], side.columns[i]) for i in key],
                [
                    fingerprint.secret_hashes([value], [column], side.plan.secret)[0]
                    for value, column in zip(values, side.columns, strict=True)
                ],
            )
    return rows


def _order(value: pa.Array, column: ColumnPlan) -> tuple[bool, bool, Any]:
    """By value, as fingerprints see it: a number that was read as text is one, too. NULL comes last."""
    kind = fingerprint.canonical_kind(column.compared_as)
    values, others = fingerprint.canonical(value, column.route.form.arrow, kind)
    canonical, apart = values[0].as_py(), None if others is None else others[0].as_py()
    return canonical is None and apart is None, canonical is None, apart if canonical is None else canonical
