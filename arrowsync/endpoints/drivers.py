"""Chooses the ADBC driver of a dialect, and says whose choice it was. Loads none: connections.py does."""

from __future__ import annotations

import os
import platform
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from arrowsync.dialects.dialect import Dialect
from arrowsync.endpoints.secrets import HIDDEN
from arrowsync.errors import ConfigError, DriverUnusable

# What manifests call processors, where Python calls them something else.
_PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "powerpc64le", "i686": "x86"}
SHORTEST_SECRET = 6  # of an option's value: shorter ones are numbers and words such as true
_ON_MACOS = sys.platform == "darwin"


@dataclass(frozen=True, slots=True, repr=False)
class Driver:
    """An ADBC driver: a library's path or a manifest's name, and what it takes to open a database with it.

    `uri_option` is the option that takes the URI; `options` are further ones. Their values may be secrets,
    and are never shown.
    """

    library: str
    entrypoint: str | None = None
    uri_option: str = "uri"
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("library", "entrypoint", "uri_option"):
            value = getattr(self, name)
            if not isinstance(value, str) and not (name == "entrypoint" and value is None):
                raise ConfigError(f"Driver: {name} must be a text, not {value!r}")
        if not isinstance(self.options, Mapping) or not all(
            isinstance(text, str) for pair in self.options.items() for text in pair
        ):
            # Its values may be secrets.
            raise ConfigError("Driver: options must be a dict of texts", hint='Write numbers as "4"')

    def __repr__(self) -> str:
        options = {name: HIDDEN for name in self.options}
        return f"Driver({self.library!r}, {self.entrypoint!r}, {self.uri_option!r}, {options})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may quote: the options' values, but for words too short to be told from others."""
        return tuple(value for value in self.options.values() if len(value) >= SHORTEST_SECRET)


@dataclass(frozen=True, slots=True)
class ChosenDriver:
    """A driver as the driver manager loads it.

    `name` is a library, a manifest's path, or a name that the system's loader knows; `library` is the file
    behind it as far as is known. `origin` says whose choice it was, `remedy` what to do if it is no good;
    `given` is the Driver that was chosen, if one was described.
    """

    name: str
    library: str
    chosen_by: Literal["argument", "variable", "manifest", "wheel"]
    origin: str
    remedy: str
    given: Driver | None = field(default=None, hash=False)

    def options(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The dialect's options as this driver calls them, with its own."""
        if self.given is None:
            return dict(wanted)
        renamed = {self.given.uri_option if name == "uri" else name: value for name, value in wanted.items()}
        return {**renamed, **self.given.options}

    def refused(self, reason: str) -> DriverUnusable:
        """The error for a driver that cannot be used."""
        text = f"cannot use the driver {self.library!r} of {self.origin}: {reason}"
        return DriverUnusable(text, hint=self.remedy)


def find_driver(dialect: Dialect, given: str | Driver | None = None) -> ChosenDriver:
    """As given, from ARROWSYNC_<DIALECT>_DRIVER, from a manifest of the dialect's name, from the wheel.

    Raises DriverUnusable, or ConfigError where there is none.
    """
    variable = f"ARROWSYNC_{dialect.name.upper()}_DRIVER"
    choose = f"set {variable} to a library or a manifest's name"
    if given:
        library, described = (given.library, given) if isinstance(given, Driver) else (given, None)
        remedy = f"Give driver= another, or {choose}"
        return _named(ChosenDriver(library, library, "argument", "driver=", remedy, described))
    if named := os.environ.get(variable):
        return _named(ChosenDriver(named, named, "variable", variable, f"Unset it, or {choose}"))
    if found := _manifest(dialect.name):
        path, library = found
        remedy = f"Repair the manifest, remove it, or {choose}"
        return ChosenDriver(str(path), library, "manifest", f"the manifest {str(path)!r}", remedy)
    if wheel := dialect.driver():
        remedy = f"Install adbc-driver-{dialect.name} anew, or {choose}"
        return ChosenDriver(wheel, wheel, "wheel", f"the wheel adbc-driver-{dialect.name}", remedy)
    raise ConfigError(
        f"no ADBC driver is known for {dialect.name!r}",
        hint=f"Name one: Database(uri, driver=…) or {variable}",
    )


def _named(driver: ChosenDriver) -> ChosenDriver:
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


def _with(driver: ChosenDriver, manifest: Path, library: str) -> ChosenDriver:
    return replace(driver, name=str(manifest), library=library)


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
