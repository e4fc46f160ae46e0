"""What `doctor` finds out about real drivers, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import arrowsync
from arrowsync.core.doctor import DriverCheck, Speed
from arrowsync.diagnostics.speed import SLOW_FROM
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.sqlite import SQLite
from arrowsync.report import exit_code
from tests.fix_postgresql import Database

LIBRARY = str(SQLite().driver())
FAST, SLOW = Speed(22.0, 0.9, slow=False), Speed(110.0, 4.2, slow=True)
CHECKUP = arrowsync.Checkup(
    place=None,
    versions={"arrowsync": "0.1.0", "python": "3.13.0"},
    cpus=8,
    workers=4,
    memory=512 << 20,
    drivers=(
        DriverCheck("postgresql", "/lib/p.so", "variable", "ARROWSYNC_POSTGRESQL_DRIVER", speed=FAST),
        DriverCheck("sqlite", "/lib/s.so", "wheel", "the wheel adbc-driver-sqlite", speed=FAST),
    ),
)


class OneOfOnesOwn(SQLite):
    name = "mine"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No choice but the wheels."""
    for name in ("ARROWSYNC_SQLITE_DRIVER", "ARROWSYNC_POSTGRESQL_DRIVER", "ADBC_DRIVER_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def with_first(**fields: object) -> arrowsync.Checkup:
    return replace(CHECKUP, drivers=(replace(CHECKUP.drivers[0], **fields), CHECKUP.drivers[1]))


def test_every_driver_is_named_and_measured_without_a_server() -> None:
    found = arrowsync.doctor()
    assert [driver.scheme for driver in found.drivers] == ["postgresql", "sqlite"]
    for driver in found.drivers:
        assert (driver.chosen_by, driver.error, driver.unmeasured) == ("wheel", None, None)
        assert Path(driver.library or "").is_file()
        assert driver.name
        assert driver.version
        assert driver.arrow_version
        assert driver.speed
        assert driver.speed.nanoseconds > 1
        assert driver.speed.slow == (driver.speed.ratio >= SLOW_FROM[driver.scheme])
        assert bool(driver.remedy) == driver.speed.slow
    assert found.usable


def test_a_place_is_connected_to_and_its_version_told(postgresql: Database) -> None:
    found = arrowsync.doctor(postgresql.uri)
    (driver,) = (each for each in found.drivers if each.scheme == "postgresql")
    assert driver.server is not None
    assert driver.server.startswith(f"PostgreSQL {postgresql.server.version}.")
    assert postgresql.server.password not in f"{found!r}{found}{json.dumps(found.to_dict())}"


def test_a_places_own_driver_is_the_one_that_is_checked(
    sqlite_file: Callable[..., Path], tmp_path: Path
) -> None:
    library = tmp_path / "libmine.so"
    library.write_bytes(Path(LIBRARY).read_bytes())
    found = arrowsync.doctor(arrowsync.Database(str(sqlite_file()), driver=str(library)))
    (driver,) = (each for each in found.drivers if each.scheme == "sqlite")
    assert (driver.library, driver.chosen_by, driver.origin) == (str(library), "argument", "driver=")
    assert driver.server is not None
    assert driver.server.startswith("SQLite 3.")


def test_a_driver_that_cannot_be_loaded_is_shown_as_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROWSYNC_POSTGRESQL_DRIVER", "/no/such/library.so")
    found = arrowsync.doctor("postgresql://me:swordfish-41c7@localhost/x")  # not connected to
    postgresql = found.drivers[0]
    assert "/no/such/library.so" in str(postgresql.error)
    assert (postgresql.library, postgresql.chosen_by) == ("/no/such/library.so", "variable")
    assert (found.usable, exit_code(found)) == (False, 1)
    assert found.drivers[1].error is None
    assert "swordfish" not in f"{found!r}"


def test_what_cannot_be_measured_says_why_and_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "no_such_service")  # libpq refuses to connect anywhere
    found = arrowsync.doctor()
    assert "no_such_service" in str(found.drivers[0].unmeasured)
    assert found.drivers[0].speed is None
    assert found.drivers[1].speed is not None
    assert (found.usable, exit_code(found)) == (True, 0)


def test_a_dialect_of_ones_own_is_not_measured(sqlite_file: Callable[..., Path]) -> None:
    found = arrowsync.doctor(arrowsync.Database(str(sqlite_file()), dialect=OneOfOnesOwn()))
    assert found.drivers[0].unmeasured == "arrowsync has no measure for mine"
    assert [driver.scheme for driver in found.drivers] == ["mine", "postgresql", "sqlite"]


@pytest.mark.parametrize("place", [pa.table({"a": [1]}), "orders.parquet"])
def test_only_databases_have_drivers(place: object) -> None:
    with pytest.raises(arrowsync.ConfigError, match="needs a database"):
        arrowsync.doctor(place)


def test_a_version_is_the_drivers_own_text_unless_the_dialect_knows_better() -> None:
    assert Dialect().release("11.2.0-RC1") == "11.2.0-RC1"


def test_good_drivers_need_no_word() -> None:
    text = str(CHECKUP)
    assert text.startswith("usable: every driver loads")
    assert "chosen by  ARROWSYNC_POSTGRESQL_DRIVER" in text
    assert "4 workers, 512 MiB of memory" in text
    assert "!" not in text


def test_a_slow_build_is_a_remark_with_what_to_do() -> None:
    slow = with_first(speed=SLOW, remedy="Install a better one")
    assert str(slow).startswith("usable, but the driver for postgresql is a slow build")
    assert "110 ns of CPU time a value, 4.2 × an Arrow cast" in str(slow)
    assert "! postgresql: Install a better one" in str(slow)
    assert exit_code(slow) == 0


def test_a_broken_driver_comes_first() -> None:
    broken = with_first(speed=None, error="it is gone", remedy="Bring it back")
    assert str(broken).startswith("broken: the driver for postgresql")
    assert "✗ postgresql: it is gone. Bring it back" in str(broken)


def test_a_notebook_shows_it_as_tables() -> None:
    assert "/lib/p.so" in CHECKUP._repr_html_()


def test_json_holds_everything_found() -> None:
    found = json.loads(json.dumps(with_first(speed=SLOW).to_dict()))
    assert (found["status"], found["cpus"], found["memory"]) == ("usable", 8, 512 << 20)
    assert found["drivers"][0]["speed"] == {"nanoseconds": 110.0, "ratio": 4.2, "slow": True}
    assert found["drivers"][1]["library"] == "/lib/s.so"
