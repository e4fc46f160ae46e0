"""Whether a user's type means the same in two databases that call it alike, down to the base types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Self

from arrowsync.core.table import NativeType, Table, UserType
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.errors import SchemaError

Types = Mapping[str, UserType]  # by name


class Named(NamedTuple):
    """A column's type, and the one under its domains."""

    type: TypeName
    base: TypeName

    @classmethod
    def of(cls, type: str, base: str | None) -> Self:
        return cls(TypeName.parse(type), TypeName.parse(base or type))


class Difference(NamedTuple):
    """`kind` says what becomes of a value whose text is read there.

    "other": it may mean another value. "lacks": it may be a label that is none there, and is refused.
    "order": it stays the same, and only compares with others as the type there does.
    """

    kind: Literal["other", "lacks", "order"]
    text: str


def differences(bare: str, here: Types, there: Types, *, in_range: bool = False) -> Iterator[Difference]:
    """What differs in the type and in those inside it; what is not `there` will be made as it is here.

    `bare` has no modifiers. A range holds the values between two, so that in a range their order counts too.
    """
    mine = here.get(bare.removesuffix("[]"))
    if mine is None:
        return  # the server's own
    theirs = there.get(mine.name)
    if theirs is not None:
        yield from _differences(mine, theirs, in_range)
    for part in mine.parts:
        yield from differences(part.bare, here, there, in_range=in_range or mine.kind == "range")


def between(mine: Named, theirs: Named, here: Types, there: Types) -> Iterator[Difference]:
    """What differs between a column's type and that of the column which takes its values.

    A domain's values are those of the type under it, and rules of its own only refuse some.
    """
    if mine.base.cast == theirs.base.cast:
        yield from differences(mine.base.cast, here, there)
    elif mine.type.cast in (theirs.type.cast, theirs.base.cast):
        made = there.get(theirs.base.cast)
        kind: Literal["other", "order"] = "order" if made is None or made.kind == "enum" else "other"
        yield Difference(kind, f"{mine.type} is {_under(mine)}, in the target {_under(theirs)}")


def unknown(bare: str, origin: NativeType, there: Types) -> Iterator[Difference]:
    """What a file leaves open: it has the text of such a type, and not what the type is made of."""
    if origin.dialect == "postgresql" and signature(bare, there):
        yield Difference("order", f"the text of a {origin.name}, as {bare} of the target reads it")


def check_view(view: Table, types: Sequence[UserType]) -> None:
    """Raises SchemaError for a view over types that are others there: its definition says what to compare."""
    here, there = ({type.name: type for type in made} for made in (view.types, types))
    for column in view.columns:
        bare = TypeName.parse(column.base or column.type).cast
        if found := [each.text for each in differences(bare, here, there)]:
            raise SchemaError(
                "; ".join(found),
                column=column.name,
                hint="Make the types alike, or leave the view out",
            )


def _differences(mine: UserType, theirs: UserType, in_range: bool) -> Iterator[Difference]:
    name = mine.name
    if mine.kind != theirs.kind:
        yield Difference("other", f"{name} is {_what(mine)}, in the target {_what(theirs)}")
    elif mine.labels != theirs.labels:
        yield _of_labels(mine, theirs, in_range)
    elif [(part.name, part.type) for part in mine.parts] != [(part.name, part.type) for part in theirs.parts]:
        word = "has" if mine.kind == "composite" else "is over"
        yield Difference("other", f"{name} {word} {_parts(mine)}, in the target {_parts(theirs)}")
    elif mine.functions != theirs.functions:
        yield Difference("other", f"{name} is made of {mine.functions}, in the target of {theirs.functions}")
    elif mine.parts != theirs.parts and mine.kind != "domain":
        counts = in_range or mine.kind == "range"
        text = f"{name} sorts by {_parts(mine)}, in the target by {_parts(theirs)}"
        yield Difference("other" if counts else "order", text)


def _of_labels(mine: UserType, theirs: UserType, in_range: bool) -> Difference:
    if lacking := [repr(label) for label in mine.labels if label not in theirs.labels]:
        return Difference(
            "lacks", f"{mine.name} of the target lacks labels of the source's: {', '.join(lacking)}"
        )
    common = tuple(label for label in theirs.labels if label in mine.labels)
    how = "has more labels" if common == mine.labels else "has its labels in another order"
    return Difference("other" if in_range else "order", f"{mine.name} of the target {how}")


def _under(column: Named) -> str:
    return f"over {column.base}" if column.base != column.type else "no domain"


def _what(type: UserType) -> str:
    return f"an {type.kind}" if type.kind == "enum" else f"a {type.kind} type"


def _parts(type: UserType) -> str:
    return ", ".join(map(str, type.parts)) or "nothing"


def signature(bare: str, types: Types) -> str:
    """Stands for what a composite or range is made of, alone or inside the type; empty where there is none.

    Where two differ, equal bytes or texts are no equal values.
    """
    spelt = _spelt(bare, bare, types)
    return hashlib.sha256(spelt.encode()).hexdigest()[:16] if _ROW in spelt or _RANGE in spelt else ""


_ROW, _RANGE = "row(", "range("


def _spelt(type: str, bare: str, types: Types) -> str:
    """The type down to the server's own ones: an enum means its labels, a domain what lies under it."""
    element = bare.removesuffix("[]")
    array = bare[len(element) :]
    made = types.get(element)
    if made is None or made.kind == "base":
        return type
    inside = [(part.name, _spelt(part.type, part.bare, types)) for part in made.parts]
    match made.kind:
        case "enum":
            return f"enum{array}"
        case "composite":
            return f"{_ROW}{', '.join(f'{name} {part}' for name, part in inside)}){array}"
        case "range":
            return f"{_RANGE}{made.functions} {inside[0][1]}){array}"
        case _:
            return f"{inside[0][1]}{array}"
