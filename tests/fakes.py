"""Stand-ins for what tests must be able to set: the clock and the memory readings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeClock:
    """A clock that stands still until a test moves it."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class FakeReadings:
    """Memory readings as a test sets them, in bytes; the peak is the largest RSS or what the test says."""

    rss_bytes: int = 0
    pool_bytes: int = 0
    peak_bytes: int = 0

    def rss(self) -> int:
        self.peak_bytes = max(self.peak_bytes, self.rss_bytes)
        return self.rss_bytes

    def pool(self) -> int:
        return self.pool_bytes

    def peak(self) -> int:
        return self.peak_bytes
