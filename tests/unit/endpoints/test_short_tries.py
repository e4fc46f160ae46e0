"""Locks are asked for again and again, with pauses for who waits behind us, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from arrowsync.endpoints.short_tries import in_short_tries
from arrowsync.errors import ArrowsyncError, LockHeld


@dataclass
class Clock:
    """Time passes in tries and pauses alone."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Lock:
    """A lock that another session holds until a time; each try for it takes two seconds."""

    clock: Clock
    free_at: float

    def take(self) -> str:
        if self.clock.now >= self.free_at:
            return "taken"
        self.clock.now += 2
        raise LockHeld("public.t is locked", hint="End that session")


def tried(free_at: float) -> tuple[str, Clock]:
    clock = Clock()
    result = in_short_tries(
        Lock(clock, free_at).take, hint="Run it again", clock=lambda: clock.now, sleep=clock.sleep
    )
    return result, clock


def test_a_lock_that_is_free_is_taken_without_a_pause() -> None:
    assert tried(free_at=0)[1].pauses == []


def test_a_lock_that_becomes_free_is_taken_after_pauses_that_grow() -> None:
    result, clock = tried(free_at=25)
    assert (result, clock.pauses) == ("taken", [1, 2, 3, 5, 5])


def test_a_lock_that_stays_ends_in_an_error_that_names_it_within_five_minutes() -> None:
    with pytest.raises(ArrowsyncError, match=r"waited for 300 s: public\.t is locked") as failed:
        tried(free_at=1_000)
    assert failed.value.hint == "Run it again. End that session"
