"""SQLite's URIs mean files; what is no readable database is said so before the driver sees it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arrowsync.dialects.sqlite import SQLite
from arrowsync.errors import ConfigError
from tests.unit.dialects.routes import connect

SQLITE = SQLite()


def opened(uri: str, *, read_only: bool = True) -> str:
    return SQLITE.options(uri, read_only=read_only)["uri"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may read and write everything; as somebody else permissions count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///shop.db",
        "shop.db",
        "file:shop.db",
        "sqlite+adbc:///shop.db",
        "sqlite:///./x/../shop.db?mode=rw",
    ],
)
def test_a_relative_path_starts_in_the_working_directory(folder: Path, uri: str) -> None:
    assert SQLITE.identity(uri) == f"sqlite://{folder / 'shop.db'}"


@pytest.mark.parametrize("form", ["sqlite:///{}", "{}", "file:{}", "file://{}", "file://localhost{}"])
def test_an_absolute_path_is_one_file_however_it_is_written(folder: Path, form: str) -> None:
    assert SQLITE.identity(form.format(folder / "shop.db")) == f"sqlite://{folder / 'shop.db'}"


def test_a_link_is_the_file_it_points_to(folder: Path, sqlite_file: Callable[..., Path]) -> None:
    (folder / "link.db").symlink_to(sqlite_file("create table t(a)", "real.db"))
    assert SQLITE.identity("sqlite:///link.db") == SQLITE.identity("sqlite:///real.db")


@pytest.mark.parametrize("name", ["a b?c%d#e.db", "ünï 🎉.db", "100%.db"])
def test_any_name_of_a_file_reaches_the_driver(
    folder: Path, sqlite_file: Callable[..., Path], name: str
) -> None:
    path = sqlite_file("create table here(a)", name)
    with connect(SQLITE, str(path), read_only=True) as connection:
        assert [table.name for table in SQLITE.names(connection)] == ["here"]


def test_a_source_is_opened_for_reading_and_a_sink_made_if_need_be(
    folder: Path, sqlite_file: Callable[..., Path]
) -> None:
    path = sqlite_file("create table t(a)")
    assert opened(str(path)) == f"file:{path}?mode=ro"
    assert opened(str(path), read_only=False) == f"file:{path}?mode=rw"
    assert opened("new.db", read_only=False) == f"file:{folder / 'new.db'}?mode=rwc"
    assert not (folder / "new.db").exists()


def test_other_parameters_are_passed_on_but_not_the_mode(sqlite_file: Callable[..., Path]) -> None:
    path = sqlite_file("create table t(a)")
    assert opened(f"sqlite:///{path}?nolock=1&mode=memory&cache=shared") == f"file:{path}?nolock=1&mode=ro"


def test_an_empty_file_is_an_empty_database(folder: Path) -> None:
    (folder / "empty.db").touch()
    with connect(SQLITE, "empty.db", read_only=True) as connection:
        assert SQLITE.names(connection) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///missing.db", "no file"),
        ("sqlite:///notes.txt", "no SQLite database"),
        ("sqlite:///folder", "is a folder"),
        ("sqlite://host/shop.db", "names a host"),
        ("sqlite://shop.db", "names a host"),
        ("file://host/shop.db", "names a host"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        (":memory:", "in-memory"),
        ("mysql://host/db", "no SQLite URI"),
    ],
)
def test_what_cannot_be_read_is_said_so(folder: Path, uri: str, message: str) -> None:
    (folder / "notes.txt").write_text("SQLite is a fine database")
    (folder / "folder").mkdir()
    with pytest.raises(ConfigError, match=message):
        opened(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://u:Secret5@h/db",
        "sqlite://u:Sec/ret5@h/db",
        "sqlite://u:Sec?ret5@h/db",
        "file://u:Secret5@h/db",
        "mysql://u:Secret5@h/db",
    ],
)
def test_a_password_that_sqlite_has_no_use_for_is_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SQLITE.identity(uri)
    assert "Sec" not in str(caught.value)
    assert "ret5" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///nowhere/new.db", "no folder"),
        ("sqlite:///notes.txt", "no SQLite database"),
        ("sqlite:///folder", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_said_so(folder: Path, uri: str, message: str) -> None:
    (folder / "notes.txt").write_text("SQLite is a fine database")
    (folder / "folder").mkdir()
    with pytest.raises(ConfigError, match=message):
        opened(uri, read_only=False)


@pytest.fixture
def closed(tmp_path: Path, sqlite_file: Callable[..., Path]) -> Path:
    """A folder whose file others may read, and nothing else."""
    path = sqlite_file("create table t(a); insert into t values (1)")
    for parent in [tmp_path, *tmp_path.parents][:4]:  # pytest's three, and xdist's one for each worker
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(0o755)
    path.chmod(0o644)
    return path


def test_a_file_without_permission_is_an_error_not_a_missing_driver(closed: Path, unprivileged: None) -> None:
    with pytest.raises(ConfigError, match="read-only"):
        opened(str(closed), read_only=False)
    with pytest.raises(ConfigError, match="read-only"):
        opened(str(closed.parent / "new.db"), read_only=False)


def test_a_file_that_others_may_not_read_is_an_error(closed: Path, request: pytest.FixtureRequest) -> None:
    closed.chmod(0o600)
    request.getfixturevalue("unprivileged")
    if os.geteuid() == closed.stat().st_uid:
        closed.chmod(0)
    with pytest.raises(ConfigError, match="cannot read"):
        opened(str(closed))


def test_a_wal_file_in_a_read_only_folder_is_read(
    closed: Path, sqlite_file: Callable[..., Path], request: pytest.FixtureRequest
) -> None:
    sqlite_file("pragma journal_mode = wal; insert into t values (2)")
    request.getfixturevalue("unprivileged")
    assert "immutable=1" in opened(str(closed))
    with connect(SQLITE, str(closed), read_only=True) as connection:
        assert connection.rows("select count(*) from t") == [(2,)]


def test_a_wal_that_nobody_may_read_is_not_left_out(
    closed: Path, sqlite_file: Callable[..., Path], request: pytest.FixtureRequest
) -> None:
    sqlite_file("pragma journal_mode = wal")
    Path(f"{closed}-wal").write_bytes(b"frames")
    request.getfixturevalue("unprivileged")
    with pytest.raises(ConfigError, match="write-ahead log"):
        opened(str(closed))


def test_a_source_never_changes_its_file(sqlite_file: Callable[..., Path]) -> None:
    path = sqlite_file("create table t(a)")
    before = path.read_bytes(), sorted(path.parent.iterdir())
    with connect(SQLITE, str(path), read_only=True) as connection:
        SQLITE.describe(connection, SQLITE.names(connection))
        with pytest.raises(ConfigError, match="readonly"):
            connection.run("insert into t values (1)")
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
