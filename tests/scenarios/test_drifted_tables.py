"""`verify` of a whole database in which tables have drifted: each is a row of the result, and none stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import arrowsync
from arrowsync import ConfigError
from arrowsync.core.check import TableCheck
from tests import command_line
from tests.command_line import Done
from tests.fix_postgresql import Database
from tests.scenarios.copies import newest_server

SOURCE = """
create table equal (id int primary key); insert into equal values (1), (2);
create table differing (id int primary key); insert into differing values (1);
create table missing (id int primary key); insert into missing values (1);
create table narrower (id int primary key, total int, note text); insert into narrower values (1, 2, 'x');
create table typed (id int primary key, n float8); insert into typed values (1, 0.5);
create schema only_here; create table only_here.t (id int);
"""
TARGET = """
create table equal (id int primary key); insert into equal values (1), (2);
create table differing (id int primary key); insert into differing values (2);
create table narrower (id int primary key, amount int); insert into narrower values (1, 2);
create table typed (id int primary key, n numeric); insert into typed values (1, 0.5);
"""


@pytest.fixture
def drifted(new_database: Callable[..., Database]) -> tuple[str, str]:
    source, target = new_database(), new_database()
    source.execute(SOURCE)
    target.execute(TARGET)
    return source.uri, target.uri


def verify(*arguments: object) -> Done:
    return command_line.arrowsync("verify", *arguments, COLUMNS="200")


def found(source: str, target: str, **told: str) -> dict[str, TableCheck]:
    return {
        check.table.rpartition(".")[2]: check for check in arrowsync.verify(source, target, **told).tables
    }


@newest_server
def test_every_table_is_compared_whatever_has_become_of_the_others(drifted: tuple[str, str]) -> None:
    checks = found(*drifted)
    assert {name: check.status for name, check in checks.items()} == {
        "equal": "equal",
        "differing": "different",
        "missing": "missing",
        "narrower": "different",
        "typed": "not comparable",
        "t": "missing",
    }
    assert (checks["differing"].missing, checks["differing"].extra) == (1, 1)
    assert checks["missing"].reason == "the target has no table public.missing"
    assert checks["narrower"].reason == "the target has no columns 'total', 'note'"
    assert "double precision cannot be compared with numeric" in checks["typed"].reason
    assert checks["t"].reason == "there is no schema 'only_here' in the target"


@newest_server
def test_a_table_whose_comparison_fails_halfway_does_not_stop_the_others(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    for database in (source, target):
        database.execute(
            "create table base (id int); insert into base values (0); create table good (id int)"
        )
    source.execute("create view a_view as select 1 / id as id from base")
    target.execute("create table a_view (id int)")
    checks = found(source.uri, target.uri, views=True)
    assert {name: check.status for name, check in checks.items()} == {
        "base": "equal",
        "good": "equal",
        "a_view": "not comparable",
    }
    assert "division by zero" in checks["a_view"].reason


@newest_server
@pytest.mark.parametrize(
    ("tables", "code", "status", "title"),
    [
        (("equal",), 0, "equal", "equal: 1 table"),
        (("equal", "typed"), 2, "not comparable", "not comparable: 1 of 2 tables"),
        (("equal", "missing"), 4, "different", "different: 1 of 2 tables"),
        (("equal", "narrower"), 4, "different", "different: 1 of 2 tables"),
        (
            ("typed", "missing", "differing"),
            4,
            "different",
            "different: 2 of 3 tables, 1 could not be compared",
        ),
        (("typed",), 2, "not comparable", "not comparable: 1 of 1 table"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_difference_ends_with_4_what_cannot_be_compared_with_2_and_4_wins(
    drifted: tuple[str, str], tables: tuple[str, ...], code: int, status: str, title: str
) -> None:
    chosen = [word for table in tables for word in ("-t", table)]
    done = verify(*drifted, *chosen, "--json")
    assert done.returncode == code
    told = json.loads(done.stdout)
    assert told["status"] == status
    assert len(told["tables"]) == len(tables)
    assert [table["equal"] for table in told["tables"]] == [
        table["status"] == "equal" for table in told["tables"]
    ]
    assert verify(*drifted, *chosen).stdout.startswith(title)


@newest_server
def test_the_result_says_in_words_and_in_json_why_rows_were_not_compared(drifted: tuple[str, str]) -> None:
    shown = verify(*drifted).stdout
    assert "public.missing: the target has no table public.missing" in shown
    told = {table["table"]: table for table in json.loads(verify(*drifted, "--json").stdout)["tables"]}
    assert told["public.missing"]["reason"] == "the target has no table public.missing"
    assert told["public.missing"]["rows_source"] is None
    assert told["public.missing"]["fingerprint_target"] is None
    assert told["public.equal"]["reason"] is None
    assert told["public.equal"]["rows_target"] == 2


@newest_server
def test_a_table_that_the_source_cannot_show_is_a_row_unless_it_was_named(
    new_database: Callable[..., Database],
) -> None:
    source, target = new_database(), new_database()
    for database in (source, target):
        database.execute("create table good (id int); create table zero ()")
    checks = found(source.uri, target.uri)
    assert {name: check.status for name, check in checks.items()} == {
        "good": "equal",
        "zero": "not comparable",
    }
    assert checks["zero"].reason == "it has no columns"
    with pytest.raises(arrowsync.ArrowsyncError, match="it has no columns"):
        arrowsync.verify(source.uri, target.uri, table="zero")


@newest_server
def test_what_is_asked_wrongly_is_an_error_and_no_row(drifted: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="where"):
        arrowsync.verify(*drifted, table="equal", where="id >")
    with pytest.raises(ConfigError, match="only_here"):
        arrowsync.verify(*drifted, table="only_here.t")
    with pytest.raises(ConfigError):
        arrowsync.verify(drifted[0], str(tmp_path / "no.db"), table="equal")
