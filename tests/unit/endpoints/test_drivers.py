"""Whose choice a driver is, that the library chosen is the one that moves rows, and what is said of bad ones."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import arrowsync
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints import drivers
from arrowsync.endpoints.drivers import find_driver
from arrowsync.errors import ConfigError

Rows = Callable[[Path, str], list[tuple[Any, ...]]]
WriteManifest = Callable[..., Path]
POSTGRESQL, SQLITE = PostgreSQL(), SQLite()
VARIABLE = "ARROWSYNC_SQLITE_DRIVER"
LIBRARY = str(SQLITE.driver())


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without drivers, and no variables."""
    for name in ("ADBC_DRIVER_PATH", VARIABLE, "ARROWSYNC_POSTGRESQL_DRIVER", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))


@pytest.fixture
def write_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteManifest:
    """Writes a manifest into a folder, by default one of ADBC_DRIVER_PATH; its path."""

    def write(shared: str, *, name: str = "sqlite", folder: Path = tmp_path / "drivers") -> Path:
        monkeypatch.setenv("ADBC_DRIVER_PATH", f"{tmp_path / 'nothing'}:{tmp_path / 'drivers'}")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.toml"
        path.write_text(f"manifest_version = 1\n[Driver]\nshared = {shared}\n")
        return path

    return write


@pytest.fixture
def moved(tmp_path: Path) -> str:
    """The wheel's library under another path."""
    path = tmp_path / "libmoved.so"
    path.write_bytes(Path(LIBRARY).read_bytes())
    return str(path)


def is_loaded(library: str) -> bool:
    return library in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("dialect", [POSTGRESQL, SQLITE])
def test_without_any_choice_the_wheel_serves(dialect: Dialect) -> None:
    found = find_driver(dialect)
    assert (found.name, found.library, found.chosen_by) == (dialect.driver(), dialect.driver(), "wheel")


def test_argument_then_variable_then_manifest_then_wheel(
    write_manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_manifest("'/manifest.so'")
    found = find_driver(SQLITE)
    assert (found.chosen_by, found.name, found.library) == ("manifest", str(manifest), "/manifest.so")
    monkeypatch.setenv(VARIABLE, "/variable.so")
    assert (find_driver(SQLITE).chosen_by, find_driver(SQLITE).library) == ("variable", "/variable.so")
    found = find_driver(SQLITE, "/argument.so")
    assert (found.chosen_by, found.library) == ("argument", "/argument.so")
    assert find_driver(POSTGRESQL).chosen_by == "wheel"  # each dialect for itself


def test_manifests_are_found_where_the_driver_manager_looks_in_its_order(
    tmp_path: Path, write_manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "_ON_MACOS", False)
    home = write_manifest("'/home.so'", folder=tmp_path / "home/.config/adbc/drivers")
    assert find_driver(SQLITE).name == str(home)
    prefix = write_manifest("'/prefix.so'", folder=tmp_path / "prefix/etc/adbc/drivers")
    assert find_driver(SQLITE).name == str(prefix)
    path = write_manifest("'/path.so'")
    assert find_driver(SQLITE).name == str(path)


def test_the_driver_manager_finds_the_same_manifest(
    tmp_path: Path, write_manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adbc_driver_manager import dbapi

    manifest = write_manifest("'/no/such/library.so'")
    assert find_driver(SQLITE).name == str(manifest)
    with pytest.raises(dbapi.ProgrammingError, match=r"/no/such/library\.so"):
        dbapi.connect(driver="sqlite", db_kwargs={"uri": str(tmp_path / "x.db")})


@pytest.mark.parametrize("platform", ["this", "another"])
def test_a_manifest_for_other_platforms_is_passed_over(
    platform: str, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    key = drivers._platform() if platform == "this" else "amiga_68k"
    write_manifest(f"{{ {key} = '{LIBRARY}' }}")
    assert find_driver(SQLITE).chosen_by == ("manifest" if platform == "this" else "wheel")
    if platform == "this":  # the driver manager reads the name of the platform as we do
        with arrowsync.Database(str(tmp_path / "x.db")).connect(read_only=False) as connection:
            assert connection.rows("select 1") == [(1,)]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux which libraries are loaded")
@pytest.mark.parametrize("choice", ["argument", "variable", "named", "manifest"])
def test_the_library_chosen_is_the_one_that_copies(
    choice: str,
    moved: str,
    write_manifest: WriteManifest,
    sqlite_file: Callable[..., Path],
    sqlite_rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source: object = sqlite_file("create table t (a integer); insert into t values (1), (2)")
    match choice:
        case "argument":
            source = arrowsync.Database(str(source), driver=moved)
        case "variable":
            monkeypatch.setenv(VARIABLE, moved)
        case "named":
            write_manifest(f"'{moved}'", name="mine")
            monkeypatch.setenv(VARIABLE, "mine")
        case "manifest":
            write_manifest(f"'{moved}'")
    assert not is_loaded(moved)
    assert arrowsync.copy(source, tmp_path / "target.db").status == "complete"
    assert is_loaded(moved)
    assert sqlite_rows(tmp_path / "target.db", "select a from t order by a") == [(1,), (2,)]


@pytest.mark.parametrize("bad", ["/no/such/library.so", "no_such_driver", "/no/such/manifest.toml", __file__])
@pytest.mark.parametrize("choice", ["argument", "variable"])
def test_a_driver_that_cannot_be_loaded_is_an_error_that_says_whose_choice_it_was(
    bad: str, choice: str, sqlite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(sqlite_file("create table t (a integer)"))
    if choice == "variable":
        monkeypatch.setenv(VARIABLE, bad)
    with pytest.raises(ConfigError) as caught:
        arrowsync.inspect(arrowsync.Database(source, driver=bad if choice == "argument" else None))
    assert f"{bad!r} of {VARIABLE if choice == 'variable' else 'driver='}" in str(caught.value)
    assert VARIABLE in str(caught.value.hint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"), [("'/no/such.so'", "/no/such.so"), ("nonsense", "cannot read the driver manifest")]
)
def test_a_bad_manifest_is_named(
    text: str, reason: str, write_manifest: WriteManifest, sqlite_file: Callable[..., Path]
) -> None:
    manifest = write_manifest(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        arrowsync.inspect(sqlite_file("create table t (a integer)"))
    assert str(manifest) in str(caught.value)


def test_another_databases_driver_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROWSYNC_POSTGRESQL_DRIVER", LIBRARY)
    with pytest.raises(ConfigError, match="another database's") as caught:
        arrowsync.inspect("postgresql://me:swordfish-41c7@localhost/x")
    assert "ARROWSYNC_POSTGRESQL_DRIVER" in str(caught.value)
    assert "swordfish" not in repr((caught.value, caught.value.__cause__))


def test_a_dialect_without_a_driver_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="no ADBC driver is known for 'generic'"):
        find_driver(Dialect())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux which libraries are loaded")
def test_a_described_driver_is_the_one_that_copies(
    moved: str, sqlite_file: Callable[..., Path], sqlite_rows: Rows, tmp_path: Path
) -> None:
    path = sqlite_file("create table t (a integer); insert into t values (1), (2)")
    driver = arrowsync.Driver(moved, entrypoint="AdbcDriverSqliteInit")
    assert not is_loaded(moved)
    copied = arrowsync.copy(arrowsync.Database(str(path), driver=driver), tmp_path / "second.db")
    assert copied.status == "complete"
    assert is_loaded(moved)
    assert sqlite_rows(tmp_path / "second.db", "select a from t order by a") == [(1,), (2,)]


def test_the_options_of_a_driver_are_never_shown(sqlite_file: Callable[..., Path]) -> None:
    driver = arrowsync.Driver(LIBRARY, options={"token": "swordfish-41c7"})
    database = arrowsync.Database(str(sqlite_file("create table t (a integer)")), driver=driver)
    assert "swordfish" not in repr(driver)
    assert "swordfish" not in repr(database)
    with pytest.raises(ConfigError) as caught:
        arrowsync.inspect(database)
    assert "swordfish" not in repr((caught.value, caught.value.hint, caught.value.__cause__))


@pytest.mark.parametrize(
    "arguments",
    [{"library": 3}, {"library": "x", "options": {"threads": 4}}, {"library": "x", "entrypoint": 1}],
)
def test_a_driver_says_what_its_fields_must_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        arrowsync.Driver(**arguments)


def test_a_scheme_that_is_not_known_has_the_dialect_for_any_driver_where_a_driver_is_given() -> None:
    assert arrowsync.Database("other://x", driver="other").speaks == Dialect()
    with pytest.raises(ConfigError, match="unknown scheme 'other'") as caught:
        _ = arrowsync.Database("other://x").speaks
    assert "driver=" in str(caught.value.hint)


def test_a_driver_pickles() -> None:
    found = find_driver(SQLITE)
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_subclass_of_a_dialect_sets_its_capabilities_as_an_attribute() -> None:
    class Own(arrowsync.Dialect):
        capabilities = arrowsync.Capabilities(quote="`")

    given = arrowsync.Capabilities(quote="'")
    assert Own().quote("a`b") == "`a``b`"
    assert Own(given).quote("a") == "'a'"
    assert replace(Own()) == Own()
    assert arrowsync.Dialect().quote("a") == '"a"'
