"""Lays documents out for terminals, with rich: narrow ones lose a table's optional columns first."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text as RichText

from arrowsync.display.document import (
    Code,
    Document,
    Facts,
    Grid,
    Notes,
    Part,
    Section,
    Text,
    Toned,
    toned,
    visible,
)

STYLES = {"plain": "", "good": "green", "warn": "yellow", "bad": "bold red", "dim": "dim"}
MARKS = {"plain": "", "good": "✓ ", "warn": "! ", "bad": "✗ ", "dim": ""}
FILE_WIDTH = 1000  # columns where there is no terminal: lines that are searched and copied stay whole
GAP = 3  # between two columns, of SIMPLE_HEAD: a space on each side of an empty line
NAME_WIDTH = 20  # columns that names keep: below that a table's optional columns give way


class QuietConsole(Console):
    """A console that writes text as it is, and falls silent when its reader goes away.

    Rich would exit the program, having pointed stdout at nothing even where it was stderr that had closed.
    """

    def __init__(self, stream: TextIO, width: int | None, *, is_terminal: bool | None = None) -> None:
        super().__init__(
            file=stream,
            width=width,
            force_terminal=is_terminal,
            highlight=False,
            emoji=False,
            markup=False,
            force_jupyter=False,  # in a notebook Rich would draw in the cell, and leave the stream empty
        )

    def on_broken_pipe(self) -> None:
        self.quiet = True


def console(stream: TextIO) -> Console:
    """A console on that stream: as wide as its terminal, or wide where there is none."""
    return QuietConsole(stream, None if stream.isatty() or "COLUMNS" in os.environ else FILE_WIDTH)


def show(document: Document, on: Console) -> None:
    """Print the document."""
    on.print(_text(document.title, "bold"))
    for renderable in _spaced(document.parts, on.width):
        on.print(renderable)


def plain_text(document: Document, width: int = 100) -> str:
    """The document without colours."""
    stream = io.StringIO()
    show(document, QuietConsole(stream, width, is_terminal=False))  # also where FORCE_COLOR is set
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def _spaced(parts: Sequence[Part], width: int) -> Iterator[RenderableType]:
    """The parts under a title, with an empty line before each but facts that open them."""
    for number, part in enumerate(parts):
        if number or not isinstance(part, Facts):
            yield ""
        yield from _layout(part, width)


def _layout(part: Part, width: int) -> Iterator[RenderableType]:
    match part:
        case Facts(pairs):
            rows = [(_text(Toned(name, "dim")), _text(value)) for name, value in pairs]
            yield _indented(_pairs(rows, gap=2))
        case Grid():
            yield _indented(_table(part, _fitting(part, width - 2)))
        case Notes(lines):
            yield _pairs([(RichText(MARKS[line.tone], STYLES[line.tone]), _text(line)) for line in lines])
        case Code(sql):
            code = Syntax(visible(sql), "sql", theme="ansi_dark", background_color="default", word_wrap=True)
            yield _indented(code)
        case Section(title, inner):
            yield _text(title, "bold")
            yield from _spaced(inner, width)


def _indented(inner: RenderableType) -> Padding:
    return Padding(inner, (0, 0, 0, 2), expand=False)


def _pairs(rows: Sequence[tuple[RichText, RichText]], gap: int = 0) -> Table:
    table = Table.grid(padding=(0, gap, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _fitting(grid: Grid, width: int) -> list[int]:
    """The columns of `grid` to show: all, less the last optional ones that leave no room for names."""
    widths = []
    for number, heading in enumerate(grid.headings):
        longest = max(cell_len(toned(row[number]).text) for row in grid.rows)
        widths.append(max(len(heading.title), longest if heading.right else min(longest, NAME_WIDTH)))
    shown = list(range(len(widths)))
    for number in reversed(shown.copy()):
        if grid.headings[number].optional and sum(widths[i] + GAP for i in shown) - GAP > width:
            shown.remove(number)
    return shown


def _table(grid: Grid, shown: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in (grid.headings[number] for number in shown):
        if heading.right:
            table.add_column(visible(heading.title), justify="right", no_wrap=True)
        else:
            table.add_column(visible(heading.title), overflow="fold")
    for row in grid.rows:
        table.add_row(*(_text(row[number]) for number in shown))
    return table


def _text(text: Text, style: str = "") -> RichText:
    text = toned(text)
    return RichText(visible(text.text), style=" ".join(filter(None, (style, STYLES[text.tone]))))
