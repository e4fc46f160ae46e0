"""The command line as people use it: real databases, pipes that close, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arrowsync.dialects.sqlite import SQLite
from tests import command_line
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

Rows = Callable[[Path, str], list[tuple[Any, ...]]]
COMMAND = [sys.executable, "-m", "arrowsync"]
SHOP = """
create table orders (id integer primary key, total decimal(10,2) not null, note text);
insert into orders values (1, 9.99, 'first'), (2, 20, null), (3, 0.5, 'last');
create table items ("order" integer references orders (id), name text);
insert into items values (1, 'tea');
"""
MANY_ROWS = """
create table orders (id integer primary key, note text);
insert into orders
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 300000)
select n, 'a note of some length, number ' || n from numbers;
"""


@pytest.fixture
def shop(sqlite_file: Callable[..., Path]) -> Path:
    return sqlite_file(SHOP)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.db"


def arrowsync(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    # The environment is named, since pytest imports readline, which sets COLUMNS behind Python's back.
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | environment,
    )


@newest_server
def test_all_tables_are_copied_and_the_report_is_on_stdout(shop: Path, postgresql: Database) -> None:
    done = arrowsync("copy", shop, postgresql.uri)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("complete: 4 rows in ")
    assert "items: complete, 1 row" in done.stderr
    assert postgresql.execute("select id, total::text, note from orders order by id") == [
        (1, "9.99", "first"),
        (2, "20.00", None),
        (3, "0.50", "last"),
    ]


def test_json_is_all_that_stdout_holds_while_progress_is_on_stderr(shop: Path, target: Path) -> None:
    done = arrowsync("copy", shop, target, "--json")
    report = json.loads(done.stdout)
    assert (report["status"], report["rows_written"]) == ("complete", 4)
    assert {table["table"] for table in report["tables"]} == {"orders", "items"}
    assert "orders: complete, 3 rows" in done.stderr


def test_no_progress_leaves_stderr_empty(shop: Path, target: Path) -> None:
    assert command_line.arrowsync("copy", shop, target, "--no-progress").stderr == ""


def test_a_plan_shows_types_and_writes_nothing(shop: Path, target: Path) -> None:
    done = command_line.arrowsync("plan", shop, target, "-t", "orders")
    assert done.returncode == 0, done.stderr
    assert "nothing has been written" in done.stdout
    assert "every value arrives exactly as it is" in done.stdout
    assert not target.exists()


def test_a_plan_is_json(shop: Path, target: Path) -> None:
    (table,) = json.loads(command_line.arrowsync("plan", shop, target, "-t", "orders", "--json").stdout)[
        "tables"
    ]
    assert [column["fidelity"] for column in table["columns"]] == ["exact"] * 3


def test_inspect_shows_columns_and_keys(shop: Path) -> None:
    done = command_line.arrowsync("inspect", shop, "-t", "orders")
    assert done.returncode == 0, done.stderr
    assert "primary key  id" in done.stdout
    (table,) = json.loads(command_line.arrowsync("inspect", shop, "-t", "orders", "--json").stdout)["tables"]
    assert [column["name"] for column in table["columns"]] == ["id", "total", "note"]


def test_doctor_shows_whose_choice_a_driver_is_and_needs_no_server(tmp_path: Path) -> None:
    library = str(SQLite().driver())
    (tmp_path / "sqlite.toml").write_text(f"[Driver]\nshared = '{library}'\n")
    chosen = {"ADBC_DRIVER_PATH": str(tmp_path), "HOME": str(tmp_path)}
    chosen |= {f"ARROWSYNC_{name}_DRIVER": "" for name in ("POSTGRESQL", "SQLITE")}
    done = arrowsync("doctor", **chosen)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"chosen by  the manifest '{tmp_path / 'sqlite.toml'}'" in done.stdout
    drivers = json.loads(arrowsync("doctor", "--json", **chosen).stdout)["drivers"]
    assert [(each["scheme"], each["chosen_by"]) for each in drivers] == [
        ("postgresql", "wheel"),
        ("sqlite", "manifest"),
    ]
    assert drivers[1]["library"] == library


def test_doctor_ends_with_1_for_a_broken_driver_and_with_2_for_a_place_that_does_not_answer() -> None:
    broken = arrowsync("doctor", ARROWSYNC_POSTGRESQL_DRIVER="/no/such/library.so")
    assert broken.returncode == 1
    assert "cannot use the driver '/no/such/library.so' of ARROWSYNC_POSTGRESQL_DRIVER" in broken.stdout
    silent = arrowsync("doctor", "postgresql://me:swordfish-41c7@127.0.0.1:1/x", "--json")
    assert (silent.returncode, json.loads(silent.stdout)["status"]) == (2, "failed")
    assert "swordfish" not in silent.stdout + silent.stderr


def test_verify_ends_with_4_and_names_the_row_that_differs(
    shop: Path, target: Path, sqlite_file: Callable[..., Path]
) -> None:
    assert command_line.arrowsync("copy", shop, target).returncode == 0
    equal = command_line.arrowsync("verify", shop, target)
    assert (equal.returncode, equal.stdout.split(":")[0]) == (0, "equal")
    sqlite_file("update orders set note = 'changed' where id = 3", target.name)
    differs = command_line.arrowsync("verify", shop, target)
    assert differs.returncode == 4
    assert "id = 3" in differs.stdout
    assert (
        json.loads(command_line.arrowsync("verify", shop, target, "--json").stdout)["status"] == "different"
    )


@newest_server
def test_rows_in_quarantine_end_with_3_and_the_folder_is_named(
    shop: Path, postgresql: Database, tmp_path: Path
) -> None:
    postgresql.execute("create table orders (id bigint, total numeric(10,2) check (total > 1), note text)")
    command = ("copy", shop, postgresql.uri, "-t", "orders", "-m", "append", "--quarantine", tmp_path / "bad")
    done = command_line.arrowsync(*command)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("partial: 2 rows, 1 in quarantine")
    (folder,) = (line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == ["quarantine"])
    assert list(Path(folder).rglob("*.parquet"))
    assert Path(folder).is_relative_to(tmp_path / "bad")


@newest_server
def test_status_shows_what_has_been_copied(shop: Path, postgresql: Database) -> None:
    assert command_line.arrowsync("copy", shop, postgresql.uri).returncode == 0
    done = command_line.arrowsync("status", postgresql.uri)
    assert done.returncode == 0, done.stderr
    assert "1 transfer" in done.stdout
    assert "public.items" not in done.stdout
    by_table = command_line.arrowsync("status", postgresql.uri, "--by-table").stdout
    assert "public.orders" in by_table
    assert "public.items" in by_table


def test_the_environment_sets_the_memory_limit(shop: Path, target: Path) -> None:
    done = command_line.arrowsync("copy", shop, target, ARROWSYNC_MEMORY="1 MiB")
    assert done.returncode == 2
    assert "memory must be at least 64 MiB, not '1 MiB'" in done.stderr


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_reader_that_goes_away_costs_no_row(
    closed: str, shop: Path, target: Path, sqlite_rows: Rows
) -> None:
    gone, end = os.pipe()
    os.close(gone)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, closed: end}
    done = subprocess.run([*COMMAND, "copy", shop, target], timeout=100, **streams)
    os.close(end)
    assert done.returncode == 0
    assert sqlite_rows(target, "select count(*) from orders") == [(3,)]


def redirected(streams: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, its streams redirected by a shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_streams_that_are_closed_or_full_do_not_change_how_a_copy_ends(
    streams: str, shop: Path, target: Path, sqlite_rows: Rows
) -> None:
    done = redirected(streams, "copy", shop, target)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert sqlite_rows(target, "select count(*) from orders") == [(3,)]
    again = redirected(streams, "copy", shop, target, "--json")  # the table holds rows
    assert (again.returncode, "Traceback" in again.stderr) == (2, False)


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_a_finished_copy_whose_report_cannot_be_written_is_no_failure_and_says_what_it_was(
    flags: tuple[str, ...], shop: Path, target: Path
) -> None:
    done = redirected(">/dev/full", "copy", shop, target, "--no-progress", *flags)
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert first == "error: stdout cannot be written: No space left on device"
    assert second.startswith("It was: complete: 4 rows in")


def test_errors_that_cannot_be_written_as_json_are_told_on_stderr(tmp_path: Path) -> None:
    done = redirected(">/dev/full", "copy", tmp_path / "missing.db", tmp_path / "t.db", "--json")
    assert done.returncode == 2
    assert "stdout cannot be written" in done.stderr
    assert "missing.db" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("inspect", "shop"), ("--help",), ("copy", "--help"), ("--version",)], ids=" ".join
)
def test_what_only_shows_something_fails_where_it_cannot(arguments: tuple[str, ...], shop: Path) -> None:
    done = redirected(">/dev/full", *(shop if word == "shop" else word for word in arguments))
    assert done.returncode == 1
    assert "error: stdout cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_steer_no_terminal(sqlite_file: Callable[..., Path], tmp_path: Path) -> None:
    path = sqlite_file('create table "t\x1b[2J" (id int); create table "u\x1b[2J" (ctid int)')
    for arguments in (
        ("copy", path, tmp_path / "t.db"),
        ("copy", path, tmp_path / "t.db"),  # which holds no rows, and then is an error
        ("copy", path, tmp_path / "t.db", "--log-level", "info", "--mode", "append"),
        ("copy", path, tmp_path / "t.db", "-t", "t", "--debug"),
        ("inspect", path),
    ):
        done = arrowsync(*arguments)
        assert r"t\x1b[2J" in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_copy_ends_with_130_and_the_same_command_goes_on(
    number: signal.Signals, sqlite_file: Callable[..., Path], target: Path
) -> None:
    command = [
        *(*COMMAND, "copy", sqlite_file(MANY_ROWS), target, "--json"),
        *("--batch-rows", "200", "--partition-bytes", "1 MiB", "--verify", "hash"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not target.exists() or target.stat().st_size < 4_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    interrupted = json.loads(out)
    assert interrupted["errors"][-1]["type"] == "KeyboardInterrupt"
    assert 0 < interrupted["rows_written"] < 300_000
    assert "Traceback" not in err
    again = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=100).stdout)
    assert (again["status"], again["rows_written"], again["verified"]) == ("complete", 300_000, "hash")
    assert again["rows_resumed"] > 0


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    done = arrowsync("inspect", tmp_path / "missing.db", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_verify_names_rows_by_the_key_that_is_given(sqlite_file: Callable[..., Path]) -> None:
    here = sqlite_file("create table t (a, b, n); insert into t values (1, 1, 5), (1, 2, 5)", "here.db")
    there = sqlite_file("create table t (a, b, n); insert into t values (1, 1, 5), (1, 2, 6)", "there.db")
    done = command_line.arrowsync("verify", here, there, "--key", "a,b", "--json")
    (table,) = json.loads(done.stdout)["tables"]
    assert table["key"] == ["a", "b"]
    assert table["examples"] == [{"kind": "different", "key": {"a": "1", "b": "2"}, "columns": ["n"]}]
