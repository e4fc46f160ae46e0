"""A page to look at, without saying where: facts, tables, notes, code. terminal.py and html.py lay it out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["plain", "good", "warn", "bad", "dim"]


@dataclass(frozen=True, slots=True)
class Toned:
    """A text with a meaning that is shown as a colour."""

    text: str
    tone: Tone = "plain"


Text: TypeAlias = str | Toned


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a name could otherwise steer the terminal


def visible(text: str) -> str:
    """The text with its control characters spelled out; lines stay lines."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def on_one_line(text: str) -> str:
    """The same, with the ends of lines spelled out, too: nothing in it can pass for another line."""
    return visible(text).replace("\n", "\\n")


def toned(text: Text) -> Toned:
    return text if isinstance(text, Toned) else Toned(text)


@dataclass(frozen=True, slots=True)
class Heading:
    """A grid's column; an `optional` one gives way on a narrow terminal, the last first."""

    title: str
    right: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and their values, one to a line."""

    pairs: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences to read: warnings, errors, what to do next."""

    lines: tuple[Toned, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """SQL, shown as it would run."""

    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a title; a notebook shows them when it is opened."""

    title: Text
    parts: tuple[Part, ...]
    open: bool = False


Part: TypeAlias = Facts | Grid | Notes | Code | Section


@dataclass(frozen=True, slots=True)
class Document:
    title: Toned
    parts: tuple[Part, ...]


def grid(headings: Sequence[Heading], rows: Iterable[Sequence[Text]]) -> Grid:
    """A grid of the columns that say anything in any row."""
    table = [tuple(row) for row in rows]
    used = [number for number in range(len(headings)) if any(row[number] for row in table)]
    return Grid(
        tuple(headings[number] for number in used),
        tuple(tuple(row[number] for number in used) for row in table),
    )


def facts(*pairs: tuple[str, Text | None]) -> Facts:
    """The pairs that have a value."""
    return Facts(tuple((name, text) for name, text in pairs if text))


def parts(candidates: Iterable[Part | None]) -> tuple[Part, ...]:
    """The parts that have something in them."""
    return tuple(part for part in candidates if part is not None and not _is_empty(part))


def _is_empty(part: Part) -> bool:
    match part:
        case Facts(pairs):
            return not pairs
        case Grid(rows=rows):
            return not rows
        case Notes(lines):
            return not lines
        case Code(text):
            return not text
        case Section(parts=inner):
            return not inner
