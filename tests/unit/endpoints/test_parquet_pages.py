"""Page headers tell where in a row group rows are wide; whatever else stands there is taken for even."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arrowsync.core.units import KiB
from arrowsync.endpoints.files.parquet import pages
from arrowsync.endpoints.files.parquet.pages import Ahead, Chunk
from arrowsync.endpoints.files.parquet.reader import opened

THIN, WIDE = 3_000, 5
TEXTS = ["thin"] * THIN + ["w" * 64 * KiB] * WIDE
LISTS = [[[1, 2], [3]]] * THIN + [[list(range(8 * KiB))]] * WIDE


def chunk(path: Path, *, glance: bool = False) -> Chunk:
    with opened(str(path)) as file, path.open("rb") as stored:
        [found] = pages.chunks(file, stored.fileno(), 0, {"v"}, glance=glance)
        return found


def written(path: Path, values: Sequence[object], **told: object) -> Path:
    # A page for as few values as possible: what is thin and what is wide then stand in pages of their own.
    pq.write_table(pa.table({"v": values}), path, **{"data_page_size": 1, "write_batch_size": 100, **told})
    return path


def rows_until_wide(found: Chunk) -> int:
    """How many rows come before the first run whose rows are wide."""
    count = 0
    for rows, nbytes in found.runs:
        if nbytes / rows > KiB:
            return count
        count += rows
    raise AssertionError("no row is wide")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_the_place_of_wide_texts_is_known(tmp_path: Path, codec: str, version: str) -> None:
    path = written(tmp_path / "a", TEXTS, compression=codec, data_page_version=version, use_dictionary=False)
    found = chunk(path)
    assert rows_until_wide(found) == THIN
    assert sum(rows for rows, _ in found.runs) == len(TEXTS)
    assert 64 * KiB <= found.widest < 65 * KiB


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_the_widest_value_of_a_dictionary_is_known(tmp_path: Path, codec: str) -> None:
    found = chunk(written(tmp_path / "a", TEXTS, compression=codec, use_dictionary=True))
    assert found.widest == 64 * KiB + 4
    assert Ahead([found]).fitting(KiB) == 1


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("nulls", [False, True])
def test_the_place_of_wide_lists_is_known(tmp_path: Path, version: str, nulls: bool) -> None:
    lists = [None if nulls and place % 3 == 0 else each for place, each in enumerate(LISTS)]
    path = written(tmp_path / "a", lists, data_page_version=version, use_dictionary=False)
    found = chunk(path)
    assert sum(rows for rows, _ in found.runs) == len(lists)
    # The last thin row may share its page with the first wide one, and NULLs with the row before them.
    assert THIN - 50 <= rows_until_wide(found) <= THIN + 1
    assert found.widest >= 64 * KiB


def test_lists_in_dictionaries_are_as_wide_as_what_they_repeat(tmp_path: Path) -> None:
    lists = [["thin"]] * THIN + [["w" * KiB] * 64] * WIDE
    found = chunk(written(tmp_path / "a", lists, use_dictionary=True))
    assert found.widest >= 16 * KiB


def test_a_glance_reads_the_headers_of_lists_only(tmp_path: Path) -> None:
    path = written(tmp_path / "a", LISTS, use_dictionary=False)
    assert len(chunk(path, glance=True).runs) == 1
    assert chunk(path, glance=True).page == chunk(path).page > 0


def test_a_page_is_held_as_it_is_stored_and_twice_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path / "a", ["w" * KiB] * 100, compression="none", use_dictionary=False)
    assert chunk(path).page == pytest.approx(3 * 100 * KiB, rel=0.01)


def test_values_of_a_fixed_width_need_no_headers_but_where_they_are_wide(tmp_path: Path) -> None:
    few = pa.array([b"w" * 4 * KiB] * 10, pa.binary(4 * KiB))
    found = chunk(written(tmp_path / "a", few, compression="none", use_dictionary=False))
    assert found.page == pytest.approx(3 * 40 * KiB, rel=0.01)
    assert found.widest == pytest.approx(4 * KiB, rel=0.01)
    found = chunk(written(tmp_path / "b", list(range(10))))
    assert (found.runs, found.widest, found.page) == ([(10, 80.0)], 8, 0)


def test_damaged_headers_make_all_rows_even_and_nothing_worse(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [f"{n:>100}" for n in range(2_000)], use_dictionary=["v"])
    whole, dice = path.read_bytes(), random.Random(7)
    facts = pq.read_metadata(path).row_group(0).column(0)
    even = 0
    for _ in range(500):
        damaged = bytearray(whole)
        start = facts.dictionary_page_offset
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(start, start + facts.total_compressed_size)] = dice.randrange(256)
        path.with_suffix(".damaged").write_bytes(damaged)
        found = chunk(path.with_suffix(".damaged"))
        assert sum(rows for rows, _ in found.runs) == 2_000
        even += len(found.runs) == 1
    assert even > 50


def test_levels_are_counted_in_runs_of_both_kinds() -> None:
    equal, packed = bytes([5 << 1, 0]), bytes([1 << 1 | 1, 0b00_01_10_00, 0b11_00_00_01])
    assert pages.zeros(equal, 5, 2) == 5
    assert pages.zeros(bytes([5 << 1, 1]), 5, 2) == 0
    assert pages.zeros(equal + packed, 13, 2) == 5 + 4
    assert pages.zeros(equal + packed, 8, 2) == 5 + 1  # what pads the last group counts for nothing


def test_as_many_rows_are_taken_as_fit_and_one_where_none_does() -> None:
    ahead = Ahead([Chunk("a", [(100, 1_000.0), (2, 2_000.0), (100, 1_000.0)], 0)])
    assert ahead.fitting(500) == 50
    assert ahead.fitting(1_999) == 100
    assert ahead.fitting(2_000) == 101
    ahead.skip(100)
    assert ahead.fitting(500) == 1
    ahead.skip(2)
    assert ahead.fitting(1_000) == 100


def test_the_widths_of_columns_add_up_where_they_meet() -> None:
    ahead = Ahead([Chunk("a", [(10, 10.0), (10, 1_000.0)], 0), Chunk("b", [(15, 15.0), (5, 500.0)], 0)])
    assert ahead.widest == 200
    assert ahead.fitting(20) == 10
    ahead.skip(10)
    assert ahead.fitting(101 * 5) == 5
