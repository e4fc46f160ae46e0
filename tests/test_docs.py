"""The README's examples run, and what it lists is what there is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import arrowsync
from arrowsync.cli import app
from arrowsync.core.transfer import WriteMode
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

PACKAGE = Path(arrowsync.__file__).parent
README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app).commands
SHOP = """
create table customers (id integer primary key, name varchar(40) not null, since date);
insert into customers values (1, 'Ada', '1843-07-01'), (2, 'Grace', '1952-05-09');
create table orders (
    id integer primary key,
    customer integer not null references customers (id),
    placed datetime not null,
    total decimal(10,2) not null,
    note varchar(40)
);
insert into orders values
    (1, 1, '2026-03-01 09:30:00', 19.90, 'gift'),
    (2, 2, '2026-03-02 17:05:12', 4.25, 'leave at the door'),
    (3, 1, '2026-03-04 08:00:00', 120, null);
create index orders_placed on orders (placed);
"""


def run(line: str) -> str:
    """A line of the shell that begins with arrowsync; its stdout."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "arrowsync"
    done = subprocess.run(
        [sys.executable, "-m", "arrowsync", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "COLUMNS": "100"},
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def shown_as_in_the_readme(text: str, folder: Path) -> str:
    text = text.replace(f"sqlite://{folder}/", "sqlite:///home/me/")
    text = re.sub(r"postgresql://localhost:\d+/\w+", "postgresql://localhost:5432/shop", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@newest_server
def test_every_example_runs_in_the_order_of_the_readme_and_the_plan_is_the_one_shown(
    postgresql: Database,
    sqlite_file: Callable[..., Path],
    short_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.move(sqlite_file(SHOP, "shop.db"), short_path)
    monkeypatch.chdir(short_path)
    names: dict[str, object] = {}
    shown = ""
    for language, block in BLOCKS:
        there = block.replace("postgresql://localhost/shop", postgresql.uri)
        if language == "python":
            exec(there, names)
        elif language == "sh":
            for line in there.splitlines():
                if line.startswith("arrowsync "):
                    shown = run(line)
        elif block.startswith("plan:"):
            assert shown_as_in_the_readme(shown, short_path) == block.rstrip()
            shown = "compared"
    assert postgresql.execute("select id from orders order by id") == [(1,), (2,), (3,)]


def test_the_readme_shows_a_plan() -> None:
    assert any(block.startswith("plan:") for _, block in BLOCKS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_flag_is_documented_and_explained(name: str) -> None:
    assert f"`arrowsync {name}" in README
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name
        for flag in parameter.opts if parameter.param_type_name == "option" else ():
            assert re.search(rf"`{flag}[` ]", README), f"{name} {flag}"


def test_no_flag_is_documented_that_does_not_exist() -> None:
    known = {flag for command in COMMANDS.values() for each in command.params for flag in each.opts}
    known |= {"--version", "--help", "--quiet", "--editable"}
    assert set(re.findall(r"(?<![\w-])--[a-z-]+[a-z]", README)) <= known


def test_every_variable_is_documented_and_no_other() -> None:
    used = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"ARROWSYNC_[A-Z_]+[A-Z]", path.read_text())
    }
    used |= {f"ARROWSYNC_{dialect}_DRIVER" for dialect in ("POSTGRESQL", "SQLITE")}
    assert set(re.findall(r"ARROWSYNC_[A-Z_]+[A-Z]", README)) - {"ARROWSYNC_TEST_POSTGRESQL"} == used


def test_the_modes_are_those_offered() -> None:
    (table,) = re.findall(r"^\| `--mode` .*?\n\n", README, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [str(mode) for mode in WriteMode]


def test_every_room_of_the_house_is_in_the_picture() -> None:
    (picture,) = (block for _, block in BLOCKS if block.startswith("arrowsync/\n"))
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    drawn = set(re.findall(r"^[├└]── (\w+)", picture, re.MULTILINE))
    assert drawn == rooms - {"__init__", "__main__", "__pycache__", "errors"}


def test_one_batch_s_way_goes_through_ten_files_that_are_there() -> None:
    way = re.findall(r"^\d+\. `([\w/]+\.py)`", README, re.MULTILINE)
    assert len(way) == 10
    assert [name for name in way if not (PACKAGE / name).is_file()] == []


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
