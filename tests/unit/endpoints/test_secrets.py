"""Passwords stay hidden, variables are filled in."""

import pytest

from arrowsync.endpoints import Database
from arrowsync.endpoints.secrets import fill_in, hide, redact, secrets_in
from arrowsync.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:s3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:s3@cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:${PW}@h/d", "postgresql://u:${PW}@h/d"),
        ("postgresql://h/d?user=u&password=s3cret&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("host=h password='s3 cret' dbname=d", "host=h password=*** dbname=d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert hide(uri) == shown
    assert "s3" not in repr(Database(uri))


def test_every_spelling_of_a_password_is_redacted() -> None:
    secrets = secrets_in("postgresql://u:p%40ss%2Bword@h/d")
    assert redact("p@ss+word and p%40ss%2Bword", secrets) == "*** and ***"


def test_a_variable_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROWSYNC_TEST_PW", "x")
    assert fill_in("postgresql://u:${ARROWSYNC_TEST_PW}@h") == "postgresql://u:x@h"


def test_an_unset_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="ARROWSYNC_TEST_UNSET"):
        fill_in("postgresql://u:${ARROWSYNC_TEST_UNSET}@h")
