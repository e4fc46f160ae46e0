"""Which existing columns take a source's values: none that the target computes otherwise."""

import pytest

from arrowsync.core.table import Column, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.column_mapping import matched
from arrowsync.errors import SchemaError


def table(dialect: str, expression: str | None, *names: str) -> Table:
    """A table of columns `names` and of a generated column g."""
    columns = [Column(name, "bigint", NativeType(dialect, "bigint")) for name in names]
    generated = Column("g", "bigint", NativeType(dialect, "bigint"), generated=expression)
    return Table(TableName("t"), dialect, (*columns, generated))


def append(source: Table, target: Table, **arguments: object) -> None:
    matched(source, target, Transfer.of("sqlite:///a", "sqlite:///b", mode="append", **arguments))


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("a*2", "((a * 2))"),
        ("(a + b) * (a - b)", "((a + b) * (a - b))"),
        ("lower('A  (' || a)", "lower('A  (' || a)"),
    ],
)
def test_one_expression_is_the_same_however_it_is_spaced_and_bracketed(here: str, there: str) -> None:
    append(table("sqlite", here, "a", "b"), table("sqlite", there, "a", "b"))


@pytest.mark.parametrize(
    ("here", "there"),
    [(None, "a * 2"), ("a * 2", "a * 3"), ("a || ' '", "a || '  '"), ("(a) + (b)", "a) + (b")],
)
def test_values_that_the_target_would_compute_otherwise_are_refused(here: str | None, there: str) -> None:
    with pytest.raises(SchemaError, match=r"computes.*generated as .*--exclude g"):
        append(table("sqlite", here, "a", "b"), table("sqlite", there, "a", "b"))


def test_renamed_columns_are_the_same_in_an_expression() -> None:
    source, target = table("postgresql", '("A" * 2)', "A"), table("postgresql", "(x * 2)", "x")
    append(source, target, rename={"A": "x"})
    with pytest.raises(SchemaError):
        append(source, table("postgresql", "(x * 2)", "x", "A"))


def test_an_expression_of_a_column_that_is_not_copied_computes_something_else() -> None:
    with pytest.raises(SchemaError, match="--exclude g"):
        append(table("sqlite", "a * 2", "b"), table("sqlite", "a * 2", "A", "b"))


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("a * (b - 2)", True),
        ("a / b", False),  # by zero
        ("lower(a)", False),  # beyond ASCII
        ("a (2)", False),
        ("a || 'x'", False),
        ("case when a then b else 2 end", False),
    ],
)
def test_two_databases_compute_the_same_by_plain_arithmetic_alone(expression: str, same: bool) -> None:
    source, target = table("sqlite", expression, "a", "b"), table("postgresql", f"({expression})", "a", "b")
    if same:
        append(source, target)
    else:
        with pytest.raises(SchemaError):
            append(source, target)
