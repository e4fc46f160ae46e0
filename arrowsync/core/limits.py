"""How much a transfer may take, and how patiently it tries again: what users give as values."""

from __future__ import annotations

from dataclasses import dataclass

from arrowsync.core.units import MiB, format_bytes, parse_bytes
from arrowsync.errors import ConfigError

SMALLEST_MEMORY = 64 * MiB  # one pipe costs about 25 MiB plus 12 batches of 1 MiB; below that nothing fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a transfer may take: memory and partition sizes in bytes or as "512 MiB", time in seconds.

    `batch_rows=None` lets the sizer choose; a number fixes the rows of every batch.
    """

    memory: int | str = "512 MiB"
    batch_rows: int | None = None
    batch_seconds: float = 30.0
    partition_bytes: int | str = "128 MiB"
    max_connections: int | None = None

    def __post_init__(self) -> None:
        if self.memory_bytes < SMALLEST_MEMORY:
            raise ConfigError(f"memory must be at least {format_bytes(SMALLEST_MEMORY)}, not {self.memory!r}")
        for name in ("batch_rows", "batch_seconds", "partition_size", "max_connections"):
            value = getattr(self, name)
            if value is not None:
                _check_number(name, value, whole=name != "batch_seconds")
            if value is not None and not value > 0:
                raise ConfigError(f"{name.replace('_size', '_bytes')} must be more than zero, not {value!r}")

    @property
    def memory_bytes(self) -> int:
        return parse_bytes(self.memory, what="memory")

    @property
    def partition_size(self) -> int:
        return parse_bytes(self.partition_bytes, what="partition_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how patiently a partition is tried again after a transient error."""

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("attempts", "first_seconds", "longest_seconds"):
            _check_number(name, getattr(self, name), whole=name == "attempts")
        if self.attempts < 1:
            raise ConfigError(f"attempts must be at least 1, not {self.attempts}")
        if not 0 <= self.first_seconds <= self.longest_seconds:
            raise ConfigError(
                f"first_seconds must be between 0 and longest_seconds ({self.longest_seconds:g}), "
                f"not {self.first_seconds:g}"
            )


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ConfigError(f"{name} must be a {'whole ' * whole}number, not {value!r}")
