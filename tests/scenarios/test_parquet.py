"""Copies into Parquet that are killed, or started twice: every row is there once, and nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from arrowsync import Limits
from tests.scenarios.copies import child, copy, killed_child, last_word

ROWS = 300_000
TOLD = {"limits": {"partition_bytes": "256 KiB", "batch_rows": 5_000}, "workers": 2, "table": None}
LIMITS = Limits(partition_bytes="256 KiB", batch_rows=5_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.parquet"
    rows = pl.select(id=pl.int_range(ROWS), name="row number " + pl.int_range(ROWS).cast(pl.String))
    rows.write_parquet(path, row_group_size=5_000)
    return path


def ids(place: Path) -> list[int]:
    return pl.read_parquet(place)["id"].sort().to_list()


def hidden(*folders: Path) -> list[str]:
    return [path.name for folder in folders for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_folder_goes_on_where_it_was_killed(source: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "out"
    if mode != "create":
        pl.DataFrame({"id": [-1], "name": ["before"]}).write_parquet(tmp_path / "before.parquet")
        copy(str(tmp_path / "before.parquet"), f"{out}/", table=None)
    for part in (0.3, 0.2, 0.1):
        killed_child(str(source), f"{out}/", kill_at=int(part * ROWS), mode=mode, **TOLD)
    report = copy(str(source), f"{out}/", mode=mode, table=None, limits=LIMITS, workers=2, verify="hash")
    assert ids(out) == [-1] * (mode == "append") + list(range(ROWS))
    assert report.rows_written == ROWS
    assert report.partitions > 20
    assert report.partitions_resumed > report.partitions // 3
    assert len(list(out.iterdir())) == report.partitions + (mode == "append")
    assert hidden(tmp_path, out) == []


def test_a_file_starts_over_after_a_kill(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    killed_child(str(source), str(out), kill_at=ROWS // 2, **TOLD)
    assert not out.exists()
    report = copy(str(source), str(out), table=None, verify="hash")
    assert (report.rows_resumed, ids(out)) == (0, list(range(ROWS)))
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("place", ["out/", "out.parquet"])
def test_two_runs_of_one_transfer_at_once_copy_each_row_once(
    source: Path, tmp_path: Path, place: str
) -> None:
    out = tmp_path / place
    with (
        child(str(source), f"{tmp_path}/{place}", **TOLD) as one,
        child(str(source), f"{tmp_path}/{place}", **TOLD) as two,
    ):
        words = [last_word(one), last_word(two)]
    done = [word for word in words if word.get("status") == "complete"]
    assert done
    assert {word.get("error", "ResumeError") for word in words} <= {
        "ResumeError",
        "TransferError",
        "ConfigError",
    }
    assert ids(out) == list(range(ROWS))
    assert hidden(tmp_path) == []
