"""Chooses the ADBC driver of a dialect, and says whose choice it was. Loads none: connections.py does."""

from __future__ import annotations

import os
import platform
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arrowsync.dialects.dialect import Dialect
from arrowsync.errors import ConfigError, DriverUnusable

# What manifests call processors, where Python calls them something else.
_PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "powerpc64le", "i686": "x86"}
_ON_MACOS = sys.platform == "darwin"


@dataclass(frozen=True, slots=True)
class Driver:
    """An ADBC driver as the driver manager loads it.

    `name` is a library, a manifest's path, or a name that the system's loader knows; `library` is the file
    behind it as far as is known. `origin` says whose choice it was, `remedy` what to do if it is no good.
    """

    name: str
    library: str
    chosen_by: Literal["argument", "variable", "manifest", "wheel"]
    origin: str
    remedy: str

    def refused(self, reason: str) -> DriverUnusable:
        """The error for a driver that cannot be used."""
        text = f"cannot use the driver {self.library!r} of {self.origin}: {reason}"
        return DriverUnusable(text, hint=self.remedy)


def find_driver(dialect: Dialect, given: str | None = None) -> Driver:
    """As given, from ARROWSYNC_<DIALECT>_DRIVER, from a manifest of the dialect's name, from the wheel.

    Raises DriverUnusable, or ConfigError where there is none.
    """
    variable = f"ARROWSYNC_{dialect.name.upper()}_DRIVER"
    choose = f"set {variable} to a library or a manifest's name"
    if given:
        return _named(Driver(given, given, "argument", "driver=", f"Give driver= another, or {choose}"))
    if named := os.environ.get(variable):
        return _named(Driver(named, named, "variable", variable, f"Unset it, or {choose}"))
    if found := _manifest(dialect.name):
        path, library = found
        remedy = f"Repair the manifest, remove it, or {choose}"
        return Driver(str(path), library, "manifest", f"the manifest {str(path)!r}", remedy)
    if wheel := dialect.driver():
        remedy = f"Install adbc-driver-{dialect.name} anew, or {choose}"
        return Driver(wheel, wheel, "wheel", f"the wheel adbc-driver-{dialect.name}", remedy)
    raise ConfigError(
        f"no ADBC driver is known for {dialect.name!r}",
        hint=f"Name one: Database(uri, driver=…) or {variable}",
    )


def _named(driver: Driver) -> Driver:
    """With the manifest that a bare name means, and the library that a manifest means."""
    name = Path(driver.name)
    try:
        if name.suffix == ".toml":
            return _with(driver, name, _library(name) or driver.library)
        if driver.name == name.stem and (found := _manifest(driver.name)):
            return _with(driver, *found)
    except DriverUnusable as error:
        raise driver.refused(error.message) from error
    return driver


def _with(driver: Driver, manifest: Path, library: str) -> Driver:
    return Driver(str(manifest), library, driver.chosen_by, driver.origin, driver.remedy)


def _manifest(name: str) -> tuple[Path, str] | None:
    """The first manifest of that name with a library for this platform, and the library."""
    for folder in _folders():
        path = folder / f"{name}.toml"
        if os.path.isfile(path) and (library := _library(path)):  # a folder closed to us holds none
            return path, library
    return None


def _folders() -> Iterator[Path]:
    """Where the driver manager looks for manifests, in its order.

    It looks into the prefix for virtual environments, and conda's build of it for conda environments: both
    are sys.prefix.
    """
    for folder in os.environ.get("ADBC_DRIVER_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    yield Path(sys.prefix, "etc/adbc/drivers")
    if _ON_MACOS:
        yield Path.home() / "Library/Application Support/ADBC/Drivers"
        yield Path("/Library/Application Support/ADBC/Drivers")
    else:
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "adbc/drivers")
        yield Path("/etc/adbc/drivers")


def _library(manifest: Path) -> str | None:
    """The library that the manifest names for this platform. Raises DriverUnusable."""
    try:
        shared = tomllib.loads(manifest.read_text()).get("Driver", {}).get("shared")
    except (OSError, ValueError, AttributeError) as error:
        raise DriverUnusable(
            f"cannot read the driver manifest {str(manifest)!r}: {error}", hint="Repair it, or remove it"
        ) from error
    library = shared.get(_platform()) if isinstance(shared, dict) else shared
    return str(library) if library else None


def _platform() -> str:
    """As manifests name it: linux_amd64, macos_arm64, linux_arm64_musl."""
    processor = platform.machine().lower()
    system = "macos" if _ON_MACOS else "linux"
    musl = "" if _ON_MACOS or platform.libc_ver()[0] == "glibc" else "_musl"
    return f"{system}_{_PROCESSORS.get(processor, processor)}{musl}"
