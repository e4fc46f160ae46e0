"""Check constraints of other databases, where sqlglot reads them and they can only mean the same here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from arrowsync.dialects.postgresql.typename import TypeName

if TYPE_CHECKING:
    from sqlglot import exp

_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
_TEXTS = {"text", "character varying"}


def carried_check(expression: str, dialect: str, columns: Mapping[str, tuple[str, TypeName]]) -> str | None:
    """The check in PostgreSQL's words; None for what might mean something else there.

    `columns` gives the new name and type of each old name, which the check may spell in any case.
    """
    import sqlglot  # 0.2 s that a source without checks need not wait for
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(expression, read=dialect)
    except (SqlglotError, ValueError):
        return None
    known = {name.casefold(): made for name, made in columns.items()}
    if not _is_rule(tree, known):
        return None
    for column in tree.find_all(sqlglot.exp.Column):
        column.set("this", sqlglot.exp.to_identifier(known[column.name.casefold()][0], quoted=True))
    return tree.sql(dialect="postgres")


def _is_rule(node: exp.Expr, known: Mapping[str, tuple[str, TypeName]]) -> bool:
    """Whether it compares like with like alone. Text only for being equal: its orders differ."""
    from sqlglot import exp

    match node:
        case exp.And() | exp.Or():
            return _is_rule(node.left, known) and _is_rule(node.right, known)
        case exp.Not() | exp.Paren():
            return _is_rule(node.this, known)
        case exp.Is():
            return isinstance(node.expression, exp.Null) and _kind(node.this, known) is not None
        case exp.EQ() | exp.NEQ():
            return _alike(known, node.left, node.right) in ("number", "text")
        case exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _alike(known, node.left, node.right) == "number"
        case exp.Between():
            return _alike(known, node.this, node.args["low"], node.args["high"]) == "number"
        case exp.In() if node.expressions:
            return _alike(known, node.this, *node.expressions) in ("number", "text")
    return False


def _alike(known: Mapping[str, tuple[str, TypeName]], *nodes: exp.Expr) -> str | None:
    """The kind of all of them; None where they are of several."""
    kinds = {_kind(node, known) for node in nodes}
    return kinds.pop() if len(kinds) == 1 else None


def _kind(node: exp.Expr, known: Mapping[str, tuple[str, TypeName]]) -> str | None:
    from sqlglot import exp

    match node:
        case exp.Literal():
            return "text" if node.is_string else "number"
        case exp.Column() if not node.table and node.name.casefold() in known:
            type = known[node.name.casefold()][1]
            kinds = {"number": type.bare in _NUMBERS, "text": type.bare in _TEXTS}
            return "other" if type.array else next((kind for kind, found in kinds.items() if found), "other")
        case exp.Paren() | exp.Neg():
            return _kind(node.this, known)
        case exp.Add() | exp.Sub() | exp.Mul():
            return "number" if _alike(known, node.left, node.right) == "number" else None
        case exp.Length():
            return "number" if _kind(node.this, known) == "text" else None
    return None
