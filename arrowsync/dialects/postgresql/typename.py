"""A PostgreSQL type's name as format_type writes it, taken apart; knows no catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from arrowsync.errors import SchemaError

_IDENTIFIER = r'(?:U&"(?:[^"]|"")+"|"(?:[^"]|"")+"|[^\W\d][\w$]*)'
# Nothing else passes, so that a name from a file or an argument can stand in DDL.
_TYPE = re.compile(
    rf"(?P<name>{_IDENTIFIER}(?:\.{_IDENTIFIER})?(?: precision| varying)?)"
    r"(?P<fields>(?: (?:year|month|day|hour|minute|second|to))*)"
    r" ?(?:\((?P<modifiers>-?\d+(?:, ?-?\d+)*)\))?"
    r"(?P<zone> with(?:out)? time zone)?"
    r"(?P<array>(?:\[\d*\])*)",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r'U&"((?:[^"]|"")+)"', re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})|(\\))")

# Spellings that people use -> format_type's.
_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "double": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
    "varchar": "character varying",
    "string": "text",
    "bytes": "bytea",
    "char": "character",
    "varbit": "bit varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
_ONE = {"character": "bpchar", "bit": '"bit"'}  # mean length 1 when written bare; the second names any length
_DECLARED = {bare: name for name, bare in _ONE.items()}


@dataclass(frozen=True, slots=True)
class TypeName:
    """`bare` is what a cast may name without cutting values: numeric, bpchar, "bit", public."Point Kind"."""

    bare: str
    modifiers: tuple[int, ...] = ()
    array: bool = False
    fields: str = ""  # of an interval: "day to second"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read format_type's text or a usual spelling. Raises SchemaError."""
        match = _TYPE.fullmatch(text.strip())
        if match is None:
            raise SchemaError(f"{text!r} is no PostgreSQL type name")
        name = _plain_quotes(match["name"])
        name = name if '"' in name else name.lower()
        bare = _ALIASES.get(name, name) if not match["zone"] else name + match["zone"].lower()
        modifiers = tuple(int(number) for number in (match["modifiers"] or "").split(",") if number)
        if bare in _ONE:
            bare, modifiers = _ONE[bare], modifiers or (1,)
        return cls(bare, modifiers, bool(match["array"]), match["fields"].strip().lower())

    @property
    def cast(self) -> str:
        """The type without its modifiers, arrays as arrays."""
        return self.bare + "[]" * self.array

    @property
    def is_builtin(self) -> bool:
        """Whether the name needs no schema; user types come from the catalogue with theirs."""
        return "." not in self.bare

    def holds(self, other: TypeName) -> bool:
        """Whether every value of `other`, the same type but for modifiers, passes this one unchanged."""
        if self.cast != other.cast or self.fields not in ("", other.fields):
            return False
        mine, theirs = self.modifiers, other.modifiers
        if mine in ((), theirs):
            return True
        if not theirs:
            return False
        if self.bare == "numeric":
            (p, s), (q, r) = _numeric(mine), _numeric(theirs)
            return s >= r and p - s >= q - r
        return self.bare in ("character varying", "bit varying", "interval", *_TIMES) and mine[0] >= theirs[0]

    def __str__(self) -> str:
        name = _DECLARED.get(self.bare, self.bare) if self.modifiers else self.bare
        if self.fields:
            name = f"{name} {self.fields}"
        if self.modifiers:
            numbers = f"({','.join(map(str, self.modifiers))})"
            head, zone, rest = name.partition(" with") if self.bare in _TIMES else (name, "", "")
            name = head + numbers + zone + rest
        return name + "[]" * self.array


_TIMES = tuple(f"{name} {zone} time zone" for name in ("time", "timestamp") for zone in ("with", "without"))


def _numeric(modifiers: tuple[int, ...]) -> tuple[int, int]:
    return modifiers[0], modifiers[1] if len(modifiers) > 1 else 0


def _plain_quotes(name: str) -> str:
    """U&"ma\\0069n" as "main": a SQLite file spells names that way so that they do not contain INT."""

    def decode(match: re.Match[str]) -> str:
        plain = _ESCAPE.sub(lambda m: m[3] or chr(int(m[1] or m[2], 16)), match[1])
        return plain if re.fullmatch(r"[a-z_][a-z0-9_$]*", plain) else f'"{plain}"'

    return _ESCAPED.sub(decode, name)
