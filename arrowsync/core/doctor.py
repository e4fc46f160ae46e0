"""What a checkup finds out about drivers: values only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Speed:
    """What one value costs a driver that reads it, in CPU time.

    `ratio` is to what it costs an Arrow kernel, which was measured in the same moment on the same machine.
    """

    nanoseconds: float
    ratio: float
    slow: bool


@dataclass(frozen=True, slots=True)
class DriverCheck:
    """The ADBC driver that serves a scheme: which it is, whose choice, how fast.

    `error` is set where it cannot be used, `unmeasured` where its speed could not be found out, `remedy`
    where something should be done about either. What is not known is None.
    """

    scheme: str
    library: str | None = None
    chosen_by: Literal["argument", "variable", "manifest", "wheel"] | None = None
    origin: str | None = None  # the same in words, with the variable's or the manifest's name
    name: str | None = None
    version: str | None = None
    arrow_version: str | None = None
    server: str | None = None  # what it is connected to, and its version
    speed: Speed | None = None
    unmeasured: str | None = None
    error: str | None = None
    remedy: str | None = None

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)
