"""What PostgreSQL, libpq and poolers say without an SQLSTATE, and what arrowsync takes it for."""

from __future__ import annotations

import psycopg
import pytest

from arrowsync.dialects.postgresql.errors import translate
from arrowsync.errors import ConfigError, ConnectionRefused, TransientError


@pytest.mark.parametrize(
    "words",
    [
        'FATAL:  too many connections for role "lim"',
        'FATAL:  too many connections for database "shop"',
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  client connections exceeded (max_user_client_connections)",
        "FATAL:  query_wait_timeout",
        "FATAL:  server login has been failing, cached error: FATAL: too many connections for role (server_login_retry)",
        "FATAL:  MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        "FATAL:  Timed-out waiting to acquire database connection",
    ],
)
def test_what_servers_and_poolers_say_when_they_are_full_is_known(words: str) -> None:
    prefix = 'connection to server at "127.0.0.1", port 6432 failed: '
    error = translate(psycopg.OperationalError(prefix + words))
    assert isinstance(error, ConnectionRefused)
    assert "--max-connections" in (error.hint or "")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            "FATAL:  server login has been failing, connect failed: refused (server_login_retry)",
            TransientError,
        ),
        ("FATAL:  pgbouncer cannot connect to server", TransientError),
        ("FATAL:  server conn crashed?", TransientError),
        ("FATAL:  no such database: shop", ConfigError),
        ("FATAL:  password authentication failed (server_login_retry)", ConfigError),
    ],
)
def test_what_else_poolers_say_is_known(words: str, kind: type[Exception]) -> None:
    error = translate(psycopg.OperationalError(words))
    assert type(error) is kind


def test_a_conflict_with_recovery_names_the_settings_of_the_standby() -> None:
    for words in ("terminating connection due to", "canceling statement due to"):
        error = translate(psycopg.OperationalError(f"FATAL:  {words} conflict with recovery"))
        assert isinstance(error, TransientError)
        assert "hot_standby_feedback" in (error.hint or "")
