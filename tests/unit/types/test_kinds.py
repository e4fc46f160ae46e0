"""One table says which kind of values an Arrow type holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pyarrow as pa
import pytest

import arrowsync
from arrowsync.types.kinds import POSTGRESQL, kind

PACKAGE = Path(arrowsync.__file__).parent
UNION = pa.dense_union([pa.field("a", pa.int8())])
MOST_CHECKS = 2  # of pa.types.is_*, in one table, outside the one


@pytest.mark.parametrize(
    ("expected", "types"),
    [
        ("text", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())]),
        ("int", [pa.int8(), pa.uint32(), pa.run_end_encoded(pa.int32(), pa.int64())]),
        ("uint64", [pa.uint64(), pa.dictionary(pa.int8(), pa.uint64())]),
        ("bytes", [pa.binary(3), pa.large_binary(), pa.binary_view()]),
        (
            "list",
            [pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 2), pa.list_view(pa.int8())],
        ),
        ("timestamptz", [pa.timestamp("ns", "UTC"), pa.timestamp("s", "Asia/Tokyo")]),
        ("json", [pa.json_(), pa.json_(pa.large_string())]),
        ("decimal", [pa.decimal32(5, 1), pa.decimal256(50, 2), pa.opaque(pa.decimal128(9, 2), "n", "Else")]),
        (
            "words",
            [pa.opaque(pa.string(), "inet", POSTGRESQL), pa.opaque(pa.large_string(), "inet", POSTGRESQL)],
        ),
        ("rawtz", [pa.opaque(pa.int64(), "timestamp(3) with time zone", POSTGRESQL)]),
        (
            "other",
            [UNION, pa.list_(UNION), pa.struct({"a": pa.large_list(UNION)}), pa.map_(pa.int8(), UNION)],
        ),
    ],
    ids=str,
)
def test_a_kind_is_that_of_the_values_however_they_are_encoded(
    expected: str, types: list[pa.DataType]
) -> None:
    assert {kind(type) for type in types} == {expected}


def test_no_other_module_has_a_table_of_arrow_types() -> None:
    tables = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Tuple | ast.List | ast.Dict | ast.Set) and checks_in(node) > MOST_CHECKS
    }
    assert tables == {"types/kinds.py"}


def checks_in(table: ast.AST) -> int:
    """How many of pyarrow's checks of a type it names."""
    attributes = (node for node in ast.walk(table) if isinstance(node, ast.Attribute))
    return sum(ast.unparse(attribute).startswith("pa.types.is_") for attribute in attributes)
