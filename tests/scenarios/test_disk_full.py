"""A target whose disk is full says so; with room made, the same command does what is left."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
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


REFUSED = (
    "create table t (id integer primary key, note text not null); insert into t values (1, 'x'), (2, 'y')"
)
TARGET = "create table t (id integer primary key check (id <> 2), note text not null)"


def fill(folder: Path) -> None:
    with (folder / "filling").open("wb", buffering=0) as file, suppress(OSError):
        for _ in range(1 << 10):
            file.write(bytes(1 << 16))
    assert shutil.disk_usage(folder).free == 0


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


@pytest.mark.parametrize(
    ("spoil", "words"), [(fill, "No space left"), (make_read_only, "Read-only")], ids=["full", "read-only"]
)
def test_a_disk_that_keeps_no_refused_rows_is_said_and_the_same_command_goes_on_elsewhere(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[[Path, str], list[tuple[int]]],
    tmp_path: Path,
    small_disk: Path,
    spoil: Callable[[Path], None],
    words: str,
) -> None:
    source, target = sqlite_file(REFUSED), sqlite_file(TARGET, "target.db")
    spoil(small_disk)
    with pytest.raises(arrowsync.TransferError, match=f"refused rows cannot be kept in .*{words}") as failed:
        arrowsync.copy(source, target, table="t", mode="append", quarantine=small_disk / "bad")
    assert "--quarantine" in (failed.value.report.errors[0].hint or "")
    assert sqlite_rows(target, "select id from t") == []
    report = arrowsync.copy(source, target, table="t", mode="append", quarantine=tmp_path / "good")
    assert (report.status, report.rows_written, report.rows_quarantined) == ("partial", 1, 1)


def test_a_quarantine_that_is_no_folder_is_said(sqlite_file: Callable[..., Path], tmp_path: Path) -> None:
    source, target = sqlite_file(REFUSED), sqlite_file(TARGET, "target.db")
    (tmp_path / "bad").write_text("a file")
    with pytest.raises(arrowsync.TransferError, match=r"refused rows cannot be kept in .*Not a directory"):
        arrowsync.copy(source, target, table="t", mode="append", quarantine=tmp_path / "bad")
