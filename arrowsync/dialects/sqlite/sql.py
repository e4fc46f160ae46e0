"""Reads CREATE TABLE and CREATE INDEX as `sqlite_master` keeps them, for what no PRAGMA tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from arrowsync.core.table import quoted

MARK = "/* arrowsync */"  # inside the parentheses, where ALTER TABLE keeps it

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|$)) | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<string>[xX]?'(?:[^']|'')*') | (?P<word>[\w$.]+) | (?P<sign>\S)""",
    re.VERBOSE | re.DOTALL,
)
_ENDS = {
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
}
_TABLE_CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a column (`columns` is that one) or of the table, as it was written."""

    kind: str  # PRIMARY, UNIQUE, CHECK, REFERENCES
    name: str | None
    columns: tuple[str, ...]
    text: str
    expression: str = ""  # of a CHECK, without its parentheses


@dataclass(frozen=True, slots=True)
class CreateTable:
    """What stands between the parentheses; column names are as they mean, not as they are quoted."""

    marked: bool = False
    constraints: tuple[Constraint, ...] = ()
    collations: Mapping[str, str] = field(default_factory=dict)
    generated: Mapping[str, str] = field(default_factory=dict)
    on_null: Mapping[str, str] = field(default_factory=dict)
    comments: Mapping[str, str] = field(
        default_factory=dict
    )  # the first comment inside a column's definition


quote = quoted


def text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def unquote(name: str) -> str:
    """An identifier without its quotes, of whichever of SQLite's four kinds."""
    if name[:1] in ('"', "`", "'"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name[:1] == "[" else name


def tokens(sql: str) -> list[Token]:
    return [Token(m.lastgroup or "", m[0], m.start(), m.end()) for m in _TOKEN.finditer(sql)]


def parse_create_table(sql: str) -> CreateTable:
    """Read a CREATE TABLE; one that is none (a virtual table's) has nothing to tell."""
    all_tokens = tokens(sql)
    opening = next((i for i, token in enumerate(all_tokens) if token.text == "("), len(all_tokens))
    constraints: list[Constraint] = []
    collations: dict[str, str] = {}
    generated: dict[str, str] = {}
    on_null: dict[str, str] = {}
    comments: dict[str, str] = {}
    if "VIRTUAL" in (token.upper for token in all_tokens[:opening]):
        return CreateTable()
    for item in _items(all_tokens[opening + 1 :]):
        words = [token for token in item if token.kind != "comment"]
        if not words:
            continue
        if words[0].kind == "word" and words[0].upper in _TABLE_CONSTRAINTS:
            constraints += _constraints(sql, words, None)
            continue
        name = unquote(words[0].text)
        constraints += _constraints(sql, words[1:], name)
        if (at := _at(words, "COLLATE")) is not None:
            collations[name] = unquote(words[at + 1].text)
        if (at := _at(words, "AS")) is not None:
            generated[name] = _inside(sql, words, at)
        if clause := _on_null(sql, words):
            on_null[name] = clause
        inner = [token for token in item if token.kind == "comment" and token.start > words[0].start]
        if inner:
            comments[name] = inner[0].text[2:-2].strip()
    marked = any(token.kind == "comment" and token.text == MARK for token in all_tokens)
    return CreateTable(marked, tuple(constraints), collations, generated, on_null, comments)


def module(sql: str) -> str | None:
    """Which one makes a virtual table's rows."""
    words = [token for token in tokens(sql) if token.kind != "comment"]
    using = next((at for at, token in enumerate(words) if token.upper == "USING"), len(words))
    return unquote(words[using + 1].text) if words[using + 1 :] else None


def partial_index_condition(sql: str) -> str | None:
    """What follows WHERE in a CREATE INDEX."""
    depth = 0
    for token in tokens(sql):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.upper == "WHERE":
            return sql[token.end :].strip().rstrip(";").strip()
    return None


def moved_index(sql: str, index: str, table: str) -> str:
    """A CREATE INDEX with another index name and table."""
    words = [token for token in tokens(sql) if token.kind != "comment"]
    on = next(at for at, token in enumerate(words) if token.upper == "ON")
    unique = "unique " if any(token.upper == "UNIQUE" for token in words[:on]) else ""
    return f"create {unique}index {quote(index)} on {quote(table)}{sql[words[on + 1].end :]}"


def conflict_clause(definition: str) -> tuple[str, ...]:
    """What a constraint does with a row that breaks it, unless it does as all do and refuses the row."""
    words = [token.upper for token in tokens(definition) if token.kind != "comment"]
    for at in range(len(words) - 2):
        if words[at : at + 2] == ["ON", "CONFLICT"] and words[at + 2] != "ABORT":
            return (f"on conflict {words[at + 2].lower()}",)
    return ()


def renamed(definition: str, names: Mapping[str, str]) -> str:
    """A key's or an index's definition with its columns' new names: each begins an item of the brackets."""
    words = [token for token in tokens(definition) if token.kind != "comment"]
    opening = next((at for at, token in enumerate(words) if token.text == "("), len(words))
    folded = {old.lower(): new for old, new in names.items()}
    made, position = "", 0
    for item in filter(None, _items(words[opening + 1 :])):
        column = item[0]
        made += definition[position : column.start] + quote(folded[unquote(column.text).lower()])
        position = column.end
    return made + definition[position:]


def _items(rest: list[Token]) -> Iterator[list[Token]]:
    """The parts between the commas, up to the parenthesis that closes."""
    depth = 0
    item: list[Token] = []
    for token in rest:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            break
        if depth == 0 and token.text == ",":
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _constraints(sql: str, words: list[Token], column: str | None) -> Iterator[Constraint]:
    """Split one definition at the words that begin a constraint."""
    name: str | None = None
    depth = 0
    for at, token in enumerate(words):
        depth += (token.text == "(") - (token.text == ")")
        if depth or token.kind != "word":
            continue
        if token.upper == "CONSTRAINT" and at + 1 < len(words):
            name = unquote(words[at + 1].text)
        elif token.upper in ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN") or (
            column and token.upper == "REFERENCES"
        ):
            kind = "REFERENCES" if token.upper == "FOREIGN" else token.upper
            end = _end(words, at)
            text = sql[token.start : words[end - 1].end]
            expression = _inside(sql, words, at) if kind == "CHECK" else ""
            columns = (column,) if column else tuple(_columns(words[at:end]))
            yield Constraint(kind, name, columns, text, expression)
            name = None
        elif token.upper in _ENDS:
            name = None


def _end(words: list[Token], start: int) -> int:
    """Where the constraint that begins at `start` ends: at the next one of the same definition."""
    depth = 0
    for at in range(start + 1, len(words)):
        token = words[at]
        depth += (token.text == "(") - (token.text == ")")
        if depth or token.kind != "word" or token.upper not in _ENDS:
            continue
        before = words[at - 1].upper
        # ON DELETE SET NULL, SET DEFAULT, NOT DEFERRABLE and FOREIGN KEY … REFERENCES go on.
        going_on = before in ("SET", "NOT") or (
            token.upper == "NOT" and words[at + 1 : at + 2] and words[at + 1].upper == "DEFERRABLE"
        )
        if not going_on and not (words[start].upper == "FOREIGN" and token.upper == "REFERENCES"):
            return at
    return len(words)


def _on_null(sql: str, words: list[Token]) -> str | None:
    """What NOT NULL ON CONFLICT says."""
    for at in range(1, len(words)):
        if words[at].upper == "NULL" and words[at - 1].upper == "NOT":
            clause = conflict_clause(sql[words[at].start : words[_end(words, at) - 1].end])
            return clause[0].split()[-1] if clause else None
    return None


def _columns(words: list[Token]) -> Iterator[str]:
    """The names in the first parentheses, without COLLATE, ASC and DESC."""
    opening = next((i for i, token in enumerate(words) if token.text == "("), len(words))
    for item in _items(words[opening + 1 :]):
        if item:
            yield unquote(item[0].text)


def _inside(sql: str, words: list[Token], start: int) -> str:
    """The text in the first parentheses from `start` on."""
    depth = 0
    first = None
    for token in words[start:]:
        if token.text == "(":
            first = token.end if first is None else first
            depth += 1
        elif token.text == ")":
            depth -= 1
            if depth == 0:
                return sql[first : token.start].strip()
    return ""


def _at(words: list[Token], keyword: str) -> int | None:
    """Where the keyword stands outside parentheses, after the column's name."""
    depth = 0
    for at, token in enumerate(words):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and 0 < at < len(words) - 1 and token.kind == "word" and token.upper == keyword:
            return at
    return None
