"""A target whose disk is full says so; with room made, the same command does what is left."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import arrowsync

ROWS = """
create table t (id integer primary key, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
insert into t select i, hex(zeroblob(100)) from n
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"mounting is not allowed: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_same_command_goes_on_when_there_is_room(
    sqlite_file: Callable[..., Path], sqlite_rows: Callable[[Path, str], list[tuple[int]]], small_disk: Path
) -> None:
    source, target = sqlite_file(ROWS), small_disk / "target.db"
    with pytest.raises(arrowsync.TransferError, match="disk is full") as failed:
        arrowsync.copy(source, target, table="t")
    assert failed.value.report.status == "failed"
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    report = arrowsync.copy(source, target, table="t", verify="hash")
    assert (report.status, report.rows_written) == ("complete", 40_000)
    assert sqlite_rows(target, "select count(*) from t") == [(40_000,)]
