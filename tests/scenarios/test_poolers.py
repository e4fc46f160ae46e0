"""Poolers between arrowsync and a server: a session that others get next is never touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import psycopg
import pytest

import arrowsync
from arrowsync import ConfigError
from arrowsync.endpoints import connections
from tests.fix_pooler import Mode
from tests.fix_postgresql import Database
from tests.scenarios.copies import content, copy, make_rows, newest_server

pytestmark = newest_server
NewPooler = Callable[[Mode, int], int]
SETTINGS = (
    "default_transaction_read_only",
    "row_security",
    "lock_timeout",
    "synchronous_commit",
    "intervalstyle",
    "extra_float_digits",
)
ROWS = 3_000


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    """As in a fresh process."""
    connections._checked.clear()


@pytest.fixture
def pair(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    source, target = new_database(), new_database()
    make_rows(source, ROWS)
    return source, target


def through(port: int, database: Database) -> str:
    return database.server.uri(database.name, port=port)


def others_find(uri: str, sessions: int) -> list[tuple[str, ...]]:
    """What so many other applications have set when each gets a session of the pool."""
    query = "select " + ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    with ExitStack() as stack:
        found = []
        for _ in range(sessions):
            other = stack.enter_context(psycopg.connect(uri, prepare_threshold=None))
            found.append(other.execute(query).fetchone() or ())  # and stays in its transaction
        return found


@pytest.mark.parametrize("verb", ["inspect", "plan", "copy from", "copy into", "verify", "status", "stream"])
def test_a_pooler_in_transaction_mode_is_refused_and_its_sessions_stay_as_they_were(
    pair: tuple[Database, Database], new_pooler: NewPooler, verb: str
) -> None:
    source, target = pair
    uri = through(new_pooler("transaction", 6), source)
    before = others_find(uri, 6)
    verbs: dict[str, Callable[[], object]] = {
        "inspect": lambda: arrowsync.inspect(uri),
        "plan": lambda: arrowsync.plan(uri, target.uri, table="t"),
        "copy from": lambda: arrowsync.copy(uri, target.uri, table="t"),
        "copy into": lambda: arrowsync.copy(target.uri, uri, mode="append"),
        "verify": lambda: arrowsync.verify(uri, target.uri, table="t"),
        "status": lambda: arrowsync.status(uri),
        "stream": lambda: arrowsync.stream(uri, table="t"),
    }
    make_rows(target, 1)
    with pytest.raises(ConfigError, match="transaction mode") as refused:
        verbs[verb]()
    assert f"own port ({source.server.port})" in str(refused.value)
    assert others_find(uri, 6) == before
    assert source.execute("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_a_pool_of_one_session_that_is_lent_is_refused(
    pair: tuple[Database, Database], new_pooler: NewPooler
) -> None:
    uri = through(new_pooler("transaction", 1), pair[0])
    before = others_find(uri, 1)
    with pytest.raises(ConfigError, match="transaction mode"):
        arrowsync.inspect(uri)
    assert others_find(uri, 1) == before


def test_a_pooler_in_transaction_mode_is_known_while_others_use_it(
    pair: tuple[Database, Database], new_pooler: NewPooler
) -> None:
    uri = through(new_pooler("transaction", 3), pair[0])
    with psycopg.connect(uri, prepare_threshold=None) as busy:
        busy.execute("select 1")  # and keeps one of the three
        with pytest.raises(ConfigError, match="transaction mode"):
            arrowsync.inspect(uri)


@pytest.mark.parametrize("size", [1, 3])
def test_a_pooler_in_statement_mode_is_refused_too(
    pair: tuple[Database, Database], new_pooler: NewPooler, size: int
) -> None:
    with pytest.raises(ConfigError, match="transaction mode"):
        arrowsync.inspect(through(new_pooler("statement", size), pair[0]))


def test_a_pooler_in_session_mode_is_as_good_as_none_and_gets_its_sessions_back_as_they_were(
    pair: tuple[Database, Database], new_pooler: NewPooler
) -> None:
    source, target = pair
    port = new_pooler("session", 20)
    uris = [through(port, database) for database in pair]
    before = [others_find(uri, 8) for uri in uris]
    assert copy(*uris, workers=2).status == "complete"
    assert content(target) == content(source)
    assert [others_find(uri, 8) for uri in uris] == before


def test_a_session_pool_of_one_is_enough_to_inspect(
    pair: tuple[Database, Database], new_pooler: NewPooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SHORTEST_PATIENCE", 0.5)
    uri = through(new_pooler("session", 1), pair[0])
    [table] = arrowsync.inspect(uri)
    assert table.name.name == "t"
