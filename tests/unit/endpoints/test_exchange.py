"""Two names that stand for each other's files, and systems that know no such call."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path

import pytest

from arrowsync.endpoints.files import exchange
from arrowsync.endpoints.files.staging import Staging


def folder(path: Path) -> Path:
    path.mkdir()
    (path / path.name).touch()
    return path


def holds(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


def test_two_folders_are_exchanged_in_one_step(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other")
    assert exchange.exchange(one, other)
    assert (holds(one), holds(other)) == (["other"], ["one"])


def test_a_name_that_is_not_there_is_an_error_and_no_missing_call(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        exchange.exchange(folder(tmp_path / "one"), tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_folder_is_replaced_by_two_renames_where_names_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def unknown(one: bytes, other: bytes) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(exchange, "_system_call", lambda: unknown)
    staging = Staging(folder(tmp_path / "out"))
    staging.put(folder(tmp_path / "new"))
    assert holds(tmp_path / "out") == ["new"]
    assert len(holds(tmp_path)) == 2
    staging.clear()
    assert holds(tmp_path) == ["out"]
