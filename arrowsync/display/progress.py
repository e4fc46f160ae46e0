"""Shows a copy while it runs: live on a terminal, in a notebook's cell, else a line every few seconds.

Whatever goes wrong in here, the copy goes on: a display that fails falls silent.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from arrowsync.core.events import Event
from arrowsync.display.document import on_one_line
from arrowsync.display.progress_state import ProgressState, Running

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_SECONDS = 5.0  # between two lines about one table in a log
FRAME_SECONDS = 0.25  # between two pictures: a notebook's kernel sends each to the browser
NEWS_IN_NOTEBOOK = 20  # lines; a cell is not a log
NAME_WIDTH = 24  # columns for a table's name
BAR_FROM = 100  # columns of a terminal; a narrower one needs them for numbers
log = logging.getLogger("arrowsync")


class Display(Protocol):
    """Where progress is seen: lines that stay, and the tables under way as they are now."""

    def open(self) -> None: ...
    def say(self, line: str) -> None: ...
    def show(self, state: ProgressState, now: float) -> None: ...
    def close(self) -> None: ...


class Progress:
    """An Observer that shows what happens on `display`, if any. A context manager; never raises."""

    def __init__(self, display: Display | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._state = ProgressState()
        self._clock = clock
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._on_display(lambda display: display.open())
        return self

    def __exit__(self, *exc: object) -> None:
        self._on_display(lambda display: display.close())

    def __call__(self, event: Event, /) -> None:
        self._on_display(lambda display: self._tell(display, event))

    def say(self, line: str) -> None:
        """A line about the copy as a whole, which no event is about."""
        self._on_display(lambda display: display.say(line))

    def _tell(self, display: Display, event: Event) -> None:
        now = self._clock()
        if line := self._state.take(event, now):
            display.say(line)
        display.show(self._state, now)

    def _on_display(self, act: Callable[[Display], None]) -> None:
        with self._lock:
            if self._display is None:
                return
            try:
                act(self._display)
            except Exception as error:  # a closed stderr or a broken terminal must not cost anyone a copy
                log.debug("progress is no longer shown: %r", error)
                self._display = None


def progress(wanted: bool | None = None, *, stream: TextIO | None = None) -> Progress:
    """Progress for this place: a notebook's cell, a terminal, else the log.

    `wanted=None` shows it where somebody looks, in a notebook or on a terminal; True writes lines to other
    streams too; False shows nothing. Where nothing is shown, the log hears the lines at level INFO.
    """
    stream = stream or sys.stderr
    if wanted is not False and _in_notebook():
        return Progress(Cell(_new_cell_output))
    if stream is None or stream.closed:  # as a daemon's may be
        wanted = False
    if wanted is not False and stream.isatty() and os.environ.get("TERM") != "dumb":
        return Progress(Terminal(stream))
    if wanted:
        return Progress(Lines(lambda line: print(line, file=stream, flush=True)))
    return Progress(Lines(log.info) if log.isEnabledFor(logging.INFO) else None)


class Lines:
    """Plain lines, for logs: one about each table every few seconds."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._told: dict[str, float] = {}  # table -> when its last line was written

    def open(self) -> None:
        pass

    def say(self, line: str) -> None:
        self._write(on_one_line(line))

    def show(self, state: ProgressState, now: float) -> None:
        for table in state.running.values():
            if now - self._told.setdefault(table.name, table.begun) >= LINE_SECONDS:
                self._told[table.name] = now
                self.say(f"{table.name}: {', '.join(table.words(now))}")

    def close(self) -> None:
        pass


class Terminal:
    """A line per running table that changes in place; news stays above. No thread: events redraw it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.live import Live

        from arrowsync.display.terminal import console

        self._console = console(stream)
        # Rich would otherwise take over sys.stdout, where the report's JSON is to go.
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawn = float("-inf")

    def open(self) -> None:
        self._live.start()

    def say(self, line: str) -> None:
        self._console.print(on_one_line(line), style="dim")
        self._drawn = float("-inf")  # printing has redrawn the old picture below: bring it up to date

    def show(self, state: ProgressState, now: float) -> None:
        if now - self._drawn >= FRAME_SECONDS:
            self._drawn = now
            self._live.update(self._picture(state, now), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _picture(self, state: ProgressState, now: float) -> RenderableType:
        from rich.cells import cell_len
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 1), expand=True)
        running = [(on_one_line(table.name), table) for table in state.running.values()]
        widest = max((cell_len(name) for name, _ in running), default=0)
        grid.add_column(width=min(NAME_WIDTH, widest), no_wrap=True, overflow="ellipsis", style="bold")
        wide = self._console.width >= BAR_FROM
        if wide:
            grid.add_column(width=20)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # what the others leave
        for name, table in running:
            bar = [ProgressBar(completed=100 * (table.share or 0), pulse=table.share is None)] if wide else []
            grid.add_row(name, *bar, on_one_line(" · ".join(table.words(now))))
        return grid


class Cell:
    """A notebook cell's output, replaced as things change. `new_output` makes one and returns its update."""

    def __init__(self, new_output: Callable[[str], Callable[[str], None]]) -> None:
        self._new_output = new_output
        self._news: list[str] = []
        self._drawn = float("-inf")

    def open(self) -> None:
        self._update = self._new_output("")

    def say(self, line: str) -> None:
        self._news = [*self._news, line][-NEWS_IN_NOTEBOOK:]
        self._drawn = float("-inf")

    def show(self, state: ProgressState, now: float) -> None:
        if now - self._drawn >= FRAME_SECONDS:
            self._drawn = now
            news = "".join(f'<div style="opacity:.65">{escape(line)}</div>' for line in self._news)
            running = "".join(_cell_line(table, now) for table in state.running.values())
            self._update(f'<div style="font-size:13px">{news}{running}</div>')

    def close(self) -> None:
        pass


def _cell_line(table: Running, now: float) -> str:
    value = (
        "" if table.share is None else f' value="{table.share}"'
    )  # without a value it moves back and forth
    bar = f'<progress max="1"{value} style="vertical-align:middle"></progress>'
    return f"<div>{bar} <b>{escape(table.name)}</b> {escape(' · '.join(table.words(now)))}</div>"


def _in_notebook() -> bool:
    # Who runs in IPython has imported it; ZMQ is how a kernel, not a terminal, hears from its front end.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _new_cell_output(first: str) -> Callable[[str], None]:
    from IPython.display import HTML, display

    handle = display(HTML(first), display_id=True)
    return lambda html: handle.update(HTML(html))
