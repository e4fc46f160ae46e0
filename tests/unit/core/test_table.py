"""Names as SQL writes them, and which table they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowsync.core.table import TableName, find_table, match_tables
from arrowsync.errors import ConfigError
from tests.unit.builders import a_table

parts = st.text(min_size=1).filter(lambda text: text.strip() == text)


@given(parts, st.none() | parts)
def test_a_name_is_read_back_as_it_was_written(name: str, schema: str | None) -> None:
    assert TableName.parse(str(TableName(name, schema))) == TableName(name, schema)


@pytest.mark.parametrize("text", ["", ".", "a.", ".b", "a.b.c", '"a', 'a"b"', '"a"b'])
def test_a_text_that_is_no_name_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        TableName.parse(text)


def test_an_exact_match_comes_before_one_that_differs_in_case() -> None:
    names = [TableName("Orders"), TableName("orders")]
    assert find_table("orders", names) == TableName("orders")
    assert find_table("Orders", names) == TableName("Orders")


def test_the_only_name_that_differs_in_case_is_found() -> None:
    assert find_table("ORDERS", [TableName("orders", "public")]) == TableName("orders", "public")


def test_a_name_that_two_tables_differ_from_in_case_is_an_error() -> None:
    with pytest.raises(ConfigError, match="could be any of"):
        find_table("ORDERS", [TableName("Orders"), TableName("orders")])


def test_the_default_schema_is_preferred() -> None:
    names = [TableName("t", "a"), TableName("t", "public")]
    assert find_table("t", names, default_schema="public") == TableName("t", "public")


def test_a_sqlite_table_with_a_dot_in_its_name_is_found_by_its_whole_name() -> None:
    assert find_table("a.b", [TableName("a.b")]) == TableName("a.b")


def test_a_missing_table_is_an_error_that_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"no table 'order'.*orders"):
        find_table("order", [TableName("orders"), TableName("customers")])


def test_patterns_include_and_exclude() -> None:
    names = [TableName("a", "public"), TableName("audit_x", "public"), TableName("b", "other")]
    assert match_tables(["public.*", "!public.audit_*"], names) == names[:1]
    assert match_tables(["!*.audit_*"], names) == [names[0], names[2]]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"x\*"):
        match_tables(["x*"], [TableName("a")])


def test_a_pattern_that_matches_nothing_names_the_near_tables() -> None:
    with pytest.raises(ConfigError, match=r"order\*s.*orders"):
        match_tables(["order*s_"], [TableName("orders"), TableName("customers")])


@pytest.mark.parametrize("patterns", [["a", "!a"], ["!*"]])
def test_patterns_that_leave_no_table_are_an_error(patterns: list[str]) -> None:
    with pytest.raises(ConfigError, match="leave no table"):
        match_tables(patterns, [TableName("a")])


def test_a_long_list_of_tables_says_that_there_are_more() -> None:
    with pytest.raises(ConfigError, match=r"table9, … \(77 in all\)"):
        find_table("xyzzy", [TableName(f"table{number}") for number in range(77)])


def test_a_missing_column_is_an_error_that_names_the_near_ones_and_all() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean id\? It has: id, total"):
        a_table("t", columns=("id", "total")).column("idd")
