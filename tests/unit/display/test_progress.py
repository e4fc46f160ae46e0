"""Progress in logs, on terminals, in notebooks; and that it never costs anyone a copy."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable

import pytest

from arrowsync.core.events import (
    Event,
    PartitionCommitted,
    PartitionFailed,
    PartitionStarted,
    Publishing,
    Retried,
    RowsQuarantined,
    TableFinished,
    TableStarted,
)
from arrowsync.core.receipts import Phase, Unfinished
from arrowsync.core.units import MiB
from arrowsync.display.logs import TextLines
from arrowsync.display.progress import Cell, Lines, Progress, Terminal, progress
from arrowsync.display.progress_state import ProgressState
from tests.fakes import FakeClock
from tests.unit.builders import a_batch, a_plan, a_receipt, a_table


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


class ClosedTerminal(ClosedPipe):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def started(rows: int | None = 1000, **fields: object) -> TableStarted:
    return TableStarted(table="orders", plan=a_plan(a_table(rows=rows)), **fields)


def state_of(*happened: tuple[float, Event]) -> ProgressState:
    state = ProgressState()
    for now, event in happened:
        state.take(event, now)
    return state


def words(state: ProgressState, now: float) -> str:
    return ", ".join(state.running["orders"].words(now))


# -- what is going on ----------------------------------------------------------------------------------------


def test_a_running_table_has_share_rates_memory_batch_and_time_left() -> None:
    state = state_of((0, started()), (2, a_batch("orders", 0, 400, memory=3 * MiB)))
    assert words(state, 2) == (
        "40%, 400 rows, 200 rows/s, 3 s left, 1.95 KiB/s, memory 3 MiB of 512 MiB, batches of 400"
    )


def test_rates_are_those_of_the_last_seconds() -> None:
    state = state_of((0, started(None)), (1, a_batch("orders", 0, 9_000)))
    for now in range(21, 32):
        state.take(a_batch("orders", 0, 50), now)
    assert state.running["orders"].rates(31)[0] == 50


def test_a_retried_partition_counts_its_rows_once() -> None:
    state = state_of(
        (0, started()),
        (1, a_batch("orders", 0, 300)),
        (2, Retried(table="orders", partition=0, attempt=2, wait_seconds=1, error="gone")),
        (3, PartitionStarted(table="orders", partition=0)),
        (4, a_batch("orders", 0, 100)),
        (5, PartitionCommitted(table="orders", receipt=a_receipt(0, 120), seconds=1, query_seconds=1)),
    )
    assert state.running["orders"].rows == 120


def test_a_table_that_starts_over_has_no_rows_yet_and_says_so() -> None:
    state = ProgressState()
    for event in (started(), a_batch("orders", 0, 300), a_batch("orders", 1, 200)):
        assert state.take(event, 0.0) is None
    assert state.take(started(), 1.0) == "orders: started over, with other types"
    assert state.running["orders"].rows == 0


def test_an_earlier_runs_rows_are_there_from_the_start() -> None:
    state = ProgressState()
    news = state.take(started(resumed=(a_receipt(1, 250),)), 0)
    assert news == "orders: going on after 250 rows of an earlier run"
    assert state.running["orders"].share == 0.25


def test_a_table_that_an_earlier_run_has_finished_is_one_line() -> None:
    finished = Unfinished(
        transfer="1",
        target="orders",
        request={"mode": "create"},
        partitions=(),
        receipts=(),
        state={},
        phase=Phase.PUBLISHED,
    )
    plan = a_plan(a_table("orders"), resumes=finished)
    state = ProgressState()
    news = state.take(TableStarted(table="orders", plan=plan, resumed=(a_receipt(0, 1_000),)), 0)
    assert news == "orders: kept, 1,000 rows of an earlier run"
    assert state.take(TableFinished(table="orders", status="complete", rows=1_000, seconds=0.0), 0) is None
    assert state.running == {}


def publishing(statement: str, table: str = "orders") -> Publishing:
    return Publishing(table=table, statement=statement, number=2, total=5)


def test_a_low_estimate_never_promises_the_end() -> None:
    assert state_of((0, started(10)), (1, a_batch("orders", 0, 500))).running["orders"].share == 0.99


def test_without_an_estimate_neither_share_nor_time_is_guessed() -> None:
    state = state_of((0, started(None)), (1, a_batch("orders", 0, 500)))
    assert "left" not in words(state, 1)
    assert "%" not in words(state, 1)


def test_the_last_steps_are_named() -> None:
    state = state_of((0, started()), (1, publishing("create index\n  i on t (a)")))
    assert words(state, 1) == "2 of 5: create index i on t (a)"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            Retried(table="orders", partition=3, attempt=2, wait_seconds=0.5, error="connection lost"),
            "orders: partition 3 again in 0.5 s: connection lost",
        ),
        (
            PartitionFailed(table="orders", partition=3, error="disk full"),
            "orders: partition 3 failed: disk full",
        ),
        (
            RowsQuarantined(table="orders", partition=3, rows=1, path="/q", reason="too long"),
            "orders: 1 row to quarantine: too long",
        ),
        (publishing("create index\n  i on t (a)"), "orders: 2 of 5: create index i on t (a)"),
        (
            publishing("alter table t add primary key (a)"),
            "orders: 2 of 5: alter table t add primary key (a)",
        ),
        (publishing("drop table t"), None),
        (
            TableFinished(table="orders", status="complete", rows=1000, seconds=2.5),
            "orders: complete, 1,000 rows in 2.5 s",
        ),
    ],
)
def test_news_is_a_line(event: Event, line: str | None) -> None:
    assert ProgressState().take(event, 0) == line


def test_a_finished_table_is_no_longer_running() -> None:
    state = state_of((0, started()), (1, TableFinished(table="orders", status="complete", rows=1, seconds=1)))
    assert state.running == {}


# -- where it is shown ---------------------------------------------------------------------------------------


def test_a_log_gets_a_line_every_five_seconds(clock: FakeClock) -> None:
    lines: list[str] = []
    with Progress(Lines(lines.append), clock=clock) as observe:
        observe(started())
        for now in range(1, 13):
            clock.seconds = now
            observe(a_batch("orders", 0, 10))
        observe(TableFinished(table="orders", status="complete", rows=120, seconds=12))
    assert [line.split(",")[0] for line in lines] == ["orders: 5%", "orders: 10%", "orders: complete"]


def test_a_terminal_shows_the_table_in_place_and_news_above(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = FakeTerminal()
    with Progress(Terminal(stream), clock=clock) as observe:
        observe(started())
        clock.seconds = 1
        observe(a_batch("orders", 0, 500))
        observe(PartitionFailed(table="orders", partition=0, error="gone"))
    seen = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", stream.getvalue())
    assert "50% · 500 rows · 500 rows/s" in seen
    assert "orders: partition 0 failed: gone\n" in seen
    assert stream.getvalue().rstrip().endswith("\x1b[2K")  # nothing of it is left behind


def test_a_terminal_is_not_redrawn_for_every_batch(clock: FakeClock) -> None:
    stream = FakeTerminal()
    with Progress(Terminal(stream), clock=clock) as observe:
        observe(started())
        drawn = len(stream.getvalue())
        for _ in range(1000):
            observe(a_batch("orders", 0, 1))
        assert len(stream.getvalue()) == drawn


def test_a_notebook_cell_is_replaced_and_escaped(clock: FakeClock) -> None:
    shown: list[str] = []

    def new_output(first: str) -> Callable[[str], None]:
        shown.append(first)
        return shown.append

    with Progress(Cell(new_output), clock=clock) as observe:
        observe(started())
        clock.seconds = 1
        observe(a_batch("orders", 0, 250))
        observe(publishing("create index <i>"))
        clock.seconds = 2
        observe(PartitionFailed(table="orders", partition=0, error="<b>"))
    assert 'value="0.25"' in shown[2]
    assert "250 rows" in shown[2]
    assert "create index &lt;i&gt;" in shown[-1]
    assert "failed: &lt;b&gt;" in shown[-1]


STEERING = "a\x1b[2J\x9b2Jb\nc"
SHOWN = r"a\x1b[2J\x9b2Jb\nc"


def test_a_name_steers_no_terminal_and_makes_no_line_of_its_own(clock: FakeClock) -> None:
    lines: list[str] = []
    stream = FakeTerminal()
    for display in (Lines(lines.append), Terminal(stream)):
        with Progress(display, clock=clock) as observe:
            observe(TableStarted(table=STEERING, plan=a_plan(a_table())))
            clock.seconds += 10
            observe(a_batch(STEERING, 0, 10))
            observe(PartitionFailed(table=STEERING, partition=0, error=STEERING))
            observe(publishing(f"create index {STEERING}", table=STEERING))
            clock.seconds += 10
            observe(a_batch(STEERING, 0, 10))
    for text in ("\n".join(lines), stream.getvalue()):
        assert SHOWN in text
        assert f"failed: {SHOWN}" in text
        assert "\x1b[2J" not in text
        assert "\x9b" not in text


def test_a_log_line_spells_control_characters_out_and_stays_one_line() -> None:
    record = logging.LogRecord("arrowsync", logging.INFO, "", 0, "%s: complete", (STEERING,), None)
    line = TextLines("%(levelname)s %(message)s").format(record)
    assert line == f"INFO {SHOWN}: complete"


def test_without_a_stderr_nothing_is_shown_and_nothing_goes_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = FakeTerminal()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(True) as observe:
            observe(TableFinished(table="orders", status="complete", rows=1, seconds=1))
    assert capsys.readouterr().out == ""


def test_a_display_that_fails_falls_silent(clock: FakeClock) -> None:
    told: list[str] = []

    def break_down(line: str) -> None:
        told.append(line)
        raise ValueError(line)

    with Progress(Lines(break_down), clock=clock) as observe:
        for number in range(3):
            observe(PartitionFailed(table="orders", partition=number, error="gone"))
    assert told == ["orders: partition 0 failed: gone"]


@pytest.mark.parametrize("stream", [ClosedPipe(), ClosedTerminal()], ids=["pipe", "terminal"])
def test_a_closed_stderr_does_not_matter(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with progress(True, stream=stream) as observe:
        for number in range(3):
            observe(PartitionFailed(table="orders", partition=number, error="gone"))


def test_a_script_shows_nothing_unless_asked() -> None:
    silent, asked = io.StringIO(), io.StringIO()
    failure = PartitionFailed(table="orders", partition=0, error="gone")
    with progress(stream=silent) as observe:
        observe(failure)
    with progress(True, stream=asked) as observe:
        observe(failure)
    assert (silent.getvalue(), asked.getvalue()) == ("", "orders: partition 0 failed: gone\n")


def test_a_terminal_shows_progress_unless_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown, hidden = FakeTerminal(), FakeTerminal()
    for stream, wanted in ((shown, None), (hidden, False)):
        with progress(wanted, stream=stream) as observe:
            observe(started())
    assert "orders" in shown.getvalue()
    assert hidden.getvalue() == ""


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = FakeTerminal()
    with progress(True, stream=stream) as observe:
        observe(PartitionFailed(table="orders", partition=0, error="gone"))
    assert stream.getvalue() == "orders: partition 0 failed: gone\n"


def test_where_nothing_is_shown_the_log_hears_the_news(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="arrowsync"), progress(False) as observe:
        observe(PartitionFailed(table="orders", partition=0, error="gone"))
    assert caplog.messages == ["orders: partition 0 failed: gone"]
