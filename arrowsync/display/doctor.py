"""What `doctor` shows: versions, limits, and each scheme's driver with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from arrowsync.core.doctor import DriverCheck, Speed
from arrowsync.core.units import format_bytes
from arrowsync.display import Shown
from arrowsync.display.document import Document, Facts, Notes, Section, Toned, facts, parts
from arrowsync.display.formatting import noun


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checkup(Shown):
    """What moves tables here, and how well. `usable` unless a driver cannot be loaded."""

    place: str | None
    versions: Mapping[str, str]
    cpus: int
    workers: int  # at once, unless said otherwise
    memory: int  # bytes that a transfer may add, unless said otherwise
    drivers: tuple[DriverCheck, ...]

    @property
    def usable(self) -> bool:
        return not any(driver.error for driver in self.drivers)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return {
            "status": "usable" if self.usable else "broken",
            "place": self.place,
            "versions": dict(self.versions),
            "cpus": self.cpus,
            "workers": self.workers,
            "memory": self.memory,
            "drivers": [driver.to_dict() for driver in self.drivers],
        }

    def document(self) -> Document:
        return Document(
            self._title(),
            parts(
                [
                    self._here(),
                    *(Section(driver.scheme, (_facts(driver),), open=True) for driver in self.drivers),
                    Notes(tuple(note for driver in self.drivers for note in _notes(driver))),
                ]
            ),
        )

    def _title(self) -> Toned:
        if broken := [driver.scheme for driver in self.drivers if driver.error]:
            return Toned(f"broken: the driver for {' and '.join(broken)}", "bad")
        if slow := [driver.scheme for driver in self.drivers if driver.speed and driver.speed.slow]:
            return Toned(f"usable, but the driver for {' and '.join(slow)} is a slow build", "warn")
        return Toned("usable: every driver loads", "good")

    def _here(self) -> Facts:
        return facts(
            ("place", self.place),
            *self.versions.items(),
            ("machine", noun(self.cpus, "CPU")),
            ("by default", f"{noun(self.workers, 'worker')}, {format_bytes(self.memory)} of memory"),
        )


def _facts(driver: DriverCheck) -> Facts:
    name = " ".join(filter(None, (driver.name, driver.version)))
    return facts(
        ("library", driver.library),
        ("chosen by", driver.origin),
        ("driver", f"{name}, Arrow library {driver.arrow_version}" if driver.arrow_version else name),
        ("connected to", driver.server),
        ("reading", _speed(driver.speed) if driver.speed else _unmeasured(driver)),
    )


def _speed(speed: Speed) -> Toned:
    text = f"{speed.nanoseconds:.0f} ns of CPU time a value, {speed.ratio:.1f} × an Arrow cast"
    return Toned(text, "warn" if speed.slow else "good")


def _unmeasured(driver: DriverCheck) -> str | None:
    return f"could not be measured: {driver.unmeasured}" if driver.unmeasured else None


def _notes(driver: DriverCheck) -> Iterator[Toned]:
    if driver.error:
        yield Toned(f"{driver.scheme}: {driver.error}. {driver.remedy}", "bad")
    elif driver.remedy:
        yield Toned(f"{driver.scheme}: {driver.remedy}", "warn")
