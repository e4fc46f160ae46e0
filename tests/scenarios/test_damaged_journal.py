"""A journal that somebody has damaged: the error says what is damaged and what to do, and doing it helps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import arrowsync
from arrowsync import ArrowsyncError, Limits, ResumeError
from tests.fix_postgresql import Database
from tests.scenarios.copies import copy, interrupted, make_rows, newest_server

pytestmark = newest_server
SMALL = Limits(partition_bytes="64 KiB", batch_rows=500)


@pytest.fixture
def unfinished(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    """A source, and a target into which a copy of it was interrupted."""
    source, target = new_database(), new_database()
    make_rows(source, 5_000)
    interrupted(source.uri, target.uri, rows=3_000, limits=SMALL, workers=1)
    return source, target


def statements(error: ArrowsyncError, words: str) -> list[str]:
    """Those that its hint shows."""
    return [line for line in (error.hint or "").splitlines() if line.startswith(words)]


@pytest.mark.parametrize(
    "damage",
    [
        "transfers set partitions = '[{'",
        "transfers set partitions = '[{\"nonsense\": 1}]'",
        "transfers set request = ''",
        "transfers set request = '{}'",
        "transfers set state = 'null'",
        "transfers set state = '{}'",
        "receipts set receipt = '{}'",
        "receipts set receipt = 'torn'",
    ],
)
def test_a_damaged_row_is_an_error_that_shows_how_to_give_its_transfer_up(
    unfinished: tuple[Database, Database], damage: str
) -> None:
    source, target = unfinished
    target.execute(f"update arrowsync.{damage}")
    with pytest.raises(ResumeError, match=r"the journal of transfer \w{12} is damaged") as refused:
        copy(source.uri, target.uri)
    for statement in statements(refused.value, "delete from"):
        target.execute(statement)
    report = copy(source.uri, target.uri, mode="replace")
    assert (report.status, report.rows_written) == ("complete", 5_000)


@pytest.mark.parametrize("damage", ["transfers set state = ''", "receipts set receipt = ''"])
def test_the_status_names_the_transfer_whose_row_is_damaged(
    unfinished: tuple[Database, Database], damage: str
) -> None:
    _, target = unfinished
    target.execute(f"update arrowsync.{damage}")
    with pytest.raises(ResumeError, match=r"the journal of transfer \w{12} is damaged") as refused:
        arrowsync.status(target.uri)
    assert len(statements(refused.value, "delete from")) == 2


def test_a_missing_table_of_receipts_is_said_and_what_to_do(unfinished: tuple[Database, Database]) -> None:
    source, target = unfinished
    target.execute("drop table arrowsync.receipts")
    for act in (lambda: copy(source.uri, target.uri), lambda: arrowsync.status(target.uri)):
        with pytest.raises(ResumeError, match=r"the journal lacks its table arrowsync\.receipts") as refused:
            act()
        (statement,) = statements(refused.value, "drop table")
    target.execute(statement)
    report = copy(source.uri, target.uri, mode="replace")
    assert (report.status, report.rows_written) == ("complete", 5_000)
