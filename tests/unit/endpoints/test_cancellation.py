"""Cancelling a connection's calls: none gets lost, none meets a connection that is closed already."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from arrowsync.endpoints import cancellation as module
from arrowsync.endpoints.cancellation import DriverCalls
from arrowsync.errors import TransientError


class Driver:
    """A connection whose call ends when it is asked, or cut, often enough."""

    def __init__(self, *, ends_at: int = 1) -> None:
        self.ended = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.ends_at = ends_at
        self.log: list[str] = []
        self.calls = DriverCalls(ask=self.ask, cut=self.cut, release=lambda: self.log.append("release"))

    def ask(self) -> None:
        self.log.append("ask")
        self.may_answer.wait(10)
        self.log.append("asked")
        if self.log.count("ask") == self.ends_at:
            self.ended.set()

    def cut(self) -> None:
        self.log.append("cut")
        self.ended.set()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A thread inside a call until it is ended."""
        inside = threading.Event()

        def work() -> None:
            with self.calls.call():
                inside.set()
                self.ended.wait(10)

        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
        yield
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no test waits for takes long, or a busy machine would be taken for a slow server."""
    for name in ("ASK_AGAIN", "PATIENCE", "ANSWER"):
        monkeypatch.setattr(module, f"{name}_SECONDS", 20.0)


def test_a_cancel_ends_the_call_under_way() -> None:
    driver = Driver()
    with driver.calling():
        driver.calls.cancel()
    driver.calls.close()
    assert driver.log == ["ask", "asked", "release"]


def test_a_server_that_forgot_the_cancel_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.2)
    driver = Driver(ends_at=3)
    with driver.calling():
        driver.calls.cancel()
    assert "cut" not in driver.log
    assert driver.log.count("ask") == 3


def test_no_call_begins_after_a_cancel() -> None:
    driver = Driver()
    driver.calls.cancel()
    with pytest.raises(TransientError, match="cancelled"), driver.calls.call():
        pass
    assert driver.log == []


def test_a_call_that_goes_on_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    driver = Driver(ends_at=1_000_000)
    with driver.calling():
        driver.calls.cancel()
    assert driver.log.count("cut") == 1


def test_a_cancel_that_hangs_cuts_the_socket_and_releases_the_connection_when_it_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    driver = Driver()
    driver.may_answer.clear()
    with driver.calling():
        driver.calls.cancel()
    driver.calls.close()
    assert driver.log == ["ask", "cut"]
    driver.may_answer.set()
    until = time.monotonic() + 10
    while "release" not in driver.log:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert driver.log == ["ask", "cut", "asked", "release"]


def test_a_closed_connection_is_not_asked_and_is_released_once() -> None:
    driver = Driver()
    driver.calls.close()
    driver.calls.close()
    driver.calls.cancel()
    assert driver.log == ["release"]
