"""Looks at what serves each scheme here, and how well. Finds values; display/ shows them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from arrowsync import __version__
from arrowsync.core.doctor import DriverCheck
from arrowsync.core.transfer import Transfer
from arrowsync.diagnostics.speed import SLOW_FROM, measure, sample
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.display.doctor import Checkup
from arrowsync.endpoints.database import Database
from arrowsync.endpoints.drivers import ChosenDriver, Driver, find_driver
from arrowsync.errors import ArrowsyncError, DriverUnusable

_OPTIMISE = (
    "this driver is as slow as one that was built without optimisation; another needs a quarter of its CPU "
    "time. Install one, from conda-forge (libadbc-driver-{0}) or with `dbc install {0}`, or name its library "
    "in ARROWSYNC_{1}_DRIVER"
)


def examine(place: Database | None = None) -> Checkup:
    """Check every scheme's driver, and connect to the place. Raises ConfigError where that fails."""
    usual = Transfer(source="", target="")
    return Checkup(
        place=None if place is None else place.identity,
        versions={
            "arrowsync": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("adbc-driver-manager", "pyarrow", "polars")},
        },
        cpus=os.cpu_count() or 1,
        workers=usual.worker_count,
        memory=usual.limits.memory_bytes,
        drivers=tuple(_drivers(place)),
    )


def _drivers(place: Database | None) -> Iterator[DriverCheck]:
    dialects: dict[str, Dialect] = {dialect.name: dialect for dialect in (PostgreSQL(), SQLite())}
    if place is not None:
        own = _check(place.speaks, place.driver)
        yield own if own.error else _connected(own, place)
        dialects.pop(place.speaks.name, None)
    for dialect in dialects.values():
        yield _check(dialect)


def _check(dialect: Dialect, given: str | Driver | None = None) -> DriverCheck:
    check = DriverCheck(dialect.name)
    try:
        driver = find_driver(dialect, given)
        check = replace(check, library=driver.library, chosen_by=driver.chosen_by, origin=driver.origin)
        return _measured(check, dialect, driver)
    except DriverUnusable as error:
        return replace(check, error=error.message, remedy=error.hint)


def _measured(check: DriverCheck, dialect: Dialect, driver: ChosenDriver) -> DriverCheck:
    """With what the driver says of itself, and its speed, or why that is not known."""
    if dialect.name not in SLOW_FROM:
        return replace(check, unmeasured=f"arrowsync has no measure for {dialect.name}")
    try:
        with sample(dialect, driver) as table:
            check = _introduced(check, table.connection.about())
            speed = measure(table)
    except DriverUnusable:
        raise
    except (ArrowsyncError, OSError) as error:  # OSError: no loopback, no temporary folder
        return replace(check, unmeasured=str(error))
    remedy = _OPTIMISE.format(dialect.name, dialect.name.upper()) if speed.slow else None
    return replace(check, speed=speed, remedy=remedy)


def _connected(check: DriverCheck, place: Database) -> DriverCheck:
    with place.connect() as connection:
        about = connection.about()
    release = place.speaks.release(about.get("vendor_version", ""))
    return replace(_introduced(check, about), server=f"{about.get('vendor_name', check.scheme)} {release}")


def _introduced(check: DriverCheck, about: dict[str, str]) -> DriverCheck:
    said = about.get("driver_version", "unknown")  # PostgreSQL's wheel says just that
    packaged = _wheel_version(check.scheme) if check.chosen_by == "wheel" else None
    return replace(
        check,
        name=about.get("driver_name"),
        version=packaged if said == "unknown" else said.removeprefix("v"),
        arrow_version=about.get("driver_arrow_version"),
    )


def _wheel_version(scheme: str) -> str | None:
    with suppress(PackageNotFoundError):  # a dialect of one's own can have a driver of its own
        return version(f"adbc-driver-{scheme}")
    return None
