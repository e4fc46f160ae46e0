"""Folders that were written when a receipt was metadata of its Parquet file.

`earlier_folders` holds such: `complete`; `appended`, whose second copy died before it gave its third part a
name; and `published`, whose second copy died before it took its journal away. "@" stands for the folder around.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arrowsync
from arrowsync import Limits
from arrowsync.endpoints import Files
from arrowsync.errors import ResumeError

FOLDERS = Path(__file__).parent / "earlier_folders"
ROWS = range(60)
LIMITS = Limits(partition_bytes=500)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.parquet"
    rows = {"id": pa.array(ROWS, pa.int64()), "name": [f"row {number}" for number in ROWS]}
    pq.write_table(pa.table(rows), path, row_group_size=20)
    return path


def earlier(name: str, source: Path) -> Path:
    """The folder, its journal as if it had been copied from `source` to here."""
    folder = shutil.copytree(FOLDERS / name, source.parent / name)
    journal = folder / "journal.json"
    if journal.exists():
        noted = json.loads(journal.read_text().replace("@", str(source.parent)))
        journal.unlink()
        plan = arrowsync.plan(source, folder, mode="append", limits=LIMITS).tables[0]
        noted["transfer"] = plan.transfer.id
        noted["state"]["source"] = Files(str(source)).states([plan])[0]
        (folder / ".arrowsync.json").write_text(json.dumps(noted))
    return folder


def ids(folder: Path) -> list[int]:
    return sorted(
        number for part in folder.glob("*.parquet") for number in pq.read_table(part)["id"].to_pylist()
    )


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_a_folder_whose_parts_hold_their_receipts_is_read(source: Path, tmp_path: Path) -> None:
    report = arrowsync.copy(earlier("complete", source), tmp_path / "out.parquet", progress=False)
    assert (report.rows_written, pq.read_schema(tmp_path / "out.parquet").names) == (60, ["id", "name"])
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == list(ROWS)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", ["appended", "published"])
def test_an_append_that_an_earlier_release_left_unfinished_is_ended_and_no_row_is_there_twice(
    source: Path, name: str, restart: bool
) -> None:
    folder = earlier(name, source)
    [status] = arrowsync.status(folder)
    assert status.status == "interrupted"
    told = {"mode": "append", "limits": LIMITS, "restart": restart, "progress": False}
    report = arrowsync.copy(source, folder, **told)
    assert (report.status, report.rows_written) == ("complete", 60)
    assert (ids(folder), hidden(folder)) == (sorted([*ROWS, *ROWS]), [])


@pytest.mark.parametrize("name", ["appended", "published"])
def test_another_append_takes_no_parts_of_an_earlier_release_away_unasked(source: Path, name: str) -> None:
    folder = earlier(name, source)
    before = ids(folder)
    other = source.with_name("other.parquet")
    shutil.copy(source, other)
    with pytest.raises(ResumeError, match=r"an unfinished transfer into .* differs in source"):
        arrowsync.copy(other, folder, mode="append", limits=LIMITS, progress=False)
    assert ids(folder) == before
