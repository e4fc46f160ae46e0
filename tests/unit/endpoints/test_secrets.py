"""Passwords stay hidden, variables are filled in."""

import pickle
import re
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import arrowsync
from arrowsync.endpoints import Database
from arrowsync.endpoints.secrets import fill_in, hide, redact, secrets_in
from arrowsync.errors import ConfigError
from tests.fix_postgresql import SUPERUSER_PASSWORD
from tests.fix_postgresql import Database as ServerDatabase


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:s3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:s3@cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:${PW}@h/d", "postgresql://u:${PW}@h/d"),
        ("postgresql://h/d?user=u&password=s3cret&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("host=h password='s3 cret' dbname=d", "host=h password=*** dbname=d"),
        ("postgresql://h/d?password=s3;cret&x=1", "postgresql://h/d?password=***&x=1"),
        (r"host=h password=s3\ cret dbname=d", "host=h password=*** dbname=d"),
        (r"host=h password='it\'s s3' dbname=d", "host=h password=*** dbname=d"),
        ("host=h password='s3 cret", "host=h password=***"),
        ("postgresql://u:s3@h/d?user=x@y", "postgresql://u:***@y"),
        ("postgresql://u@h:1/d?password=p@s3", "postgresql://u@h:***"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("u:s3@cret@tcp(h:3306)/d", "u:***@tcp(h:3306)/d"),
        ("u:s3cret@account/d", "u:***@account/d"),
        ("md:d?motherduck_token=s3cret", "md:d?motherduck_token=***"),
        ("a://h/d?private_key=s3cret&x=1", "a://h/d?private_key=***&x=1"),
        ("/srv/a:b@c.db", "/srv/a:b@c.db"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert hide(uri) == shown
    assert "s3" not in repr(Database(uri))


# Between marks, which stand for what no output may tell of it.
PASSWORDS = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=12).map(
    "Zq{}jX".format
)


def spelt(password: str) -> Iterator[str]:
    for text in (password, quote(password, safe="")):
        yield f"mysql://u:{text}@h:1/d?x=1"
        yield f"postgresql://u:{text}@h/d"
        if "&" not in text:
            yield f"postgresql://h:1/d?x=1&password={text}"
    bare = re.sub(r"([\\' ])", r"\\\1", password)
    quoted = re.sub(r"([\\'])", r"\\\1", password)
    yield from (f"host=h password={bare} dbname=d", f"host=h password = '{quoted}' dbname=d")


@given(PASSWORDS)
@example("Zq@/jX")
def test_no_output_tells_a_password_however_it_is_spelt(password: str) -> None:
    for uri in spelt(password):
        shown = [repr(Database(uri)), str(Database(uri)), hide(uri)]
        try:
            shown.append(Database(uri).speaks.identity(uri))
        except ConfigError as error:
            shown.append(str(error))
        shown.append(redact(f"driver: {password} of {uri}", secrets_in(uri)))
        assert not [text for text in shown if "Zq" in text or "jX" in text]


def test_no_identity_tells_a_password_that_a_driver_takes_without_a_scheme() -> None:
    for uri in ("u:s3cret@tcp(h:3306)/d", "md:d?motherduck_token=s3cret"):
        assert "s3cret" not in arrowsync.Dialect().identity(uri)


def test_every_spelling_of_a_password_is_redacted() -> None:
    secrets = secrets_in("postgresql://u:p%40ss%2Bword@h/d")
    assert redact("p@ss+word and p%40ss%2Bword", secrets) == "*** and ***"


def test_a_variable_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROWSYNC_TEST_PW", "x")
    assert fill_in("postgresql://u:${ARROWSYNC_TEST_PW}@h") == "postgresql://u:x@h"


def test_an_unset_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="ARROWSYNC_TEST_UNSET"):
        fill_in("postgresql://u:${ARROWSYNC_TEST_UNSET}@h")


def test_a_plan_with_a_password_is_not_pickled_and_one_with_a_variable_runs_where_that_is_set(
    sqlite_file: Callable[..., Path], postgresql: ServerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sqlite_file("create table t (id int); insert into t values (7)")
    with pytest.raises(ConfigError, match=r"\$\{NAME\}") as refused:
        pickle.dumps(arrowsync.plan(path, postgresql.uri))
    assert SUPERUSER_PASSWORD not in str(refused.value)
    monkeypatch.setenv("ARROWSYNC_TEST_SECRET", SUPERUSER_PASSWORD)
    plan = arrowsync.plan(path, postgresql.uri.replace(SUPERUSER_PASSWORD, "${ARROWSYNC_TEST_SECRET}"))
    pickled = pickle.dumps(plan)
    assert SUPERUSER_PASSWORD.encode() not in pickled
    script = "import pickle, sys; pickle.load(sys.stdin.buffer).run()"
    subprocess.run([sys.executable, "-c", script], input=pickled, check=True, timeout=100)
    assert postgresql.execute("select id from t") == [(7,)]
