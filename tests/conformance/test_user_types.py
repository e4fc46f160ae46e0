"""Types that people made, under one name in source and target: the same, or refused, or read by their text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import arrowsync
from arrowsync import SchemaError
from arrowsync.core.plan import Fidelity
from tests.fix_postgresql import Database

SPAN, TURNED = "create type x as (since int, until int)", "create type x as (until int, since int)"
MOOD, UPSIDE_DOWN = (
    "create type mood as enum ('low', 'mid', 'high')",
    "create type mood as enum ('high', 'mid', 'low')",
)
RANGE = "create type x as range (subtype = {}, multirange_type_name = xs)"


class Case(NamedTuple):
    """What makes the type in source and target, the column's type, and a value of it."""

    here: str
    there: str
    type: str
    value: str
    says: str


OTHER = {
    "another order": Case(SPAN, TURNED, "x", "(10,20)", "since integer, until integer, in the target until"),
    "other names": Case(SPAN, "create type x as (a int, b int)", "x", "(10,20)", "in the target a integer"),
    "another type": Case(SPAN, "create type x as (since int, until real)", "x", "(10,20)", "until real"),
    "more": Case(SPAN, "create type x as (since int, until int, c int)", "x", "(1,2)", "c integer"),
    "in arrays": Case(SPAN, TURNED, "x[]", '{"(10,20)"}', "in the target until"),
    "under a domain": Case(
        f"{SPAN}; create domain d as x",
        f"{TURNED}; create domain d as x",
        "d",
        "(10,20)",
        "in the target until",
    ),
    "inside another": Case(
        f"{SPAN}; create type y as (a int, xs x[])",
        f"{TURNED}; create type y as (a int, xs x[])",
        "y",
        '(1,"{""(10,20)""}")',
        "public.x has since integer",
    ),
    "a domain inside": Case(
        "create domain d as int; create type x as (a d)",
        "create domain d as real; create type x as (a d)",
        "x",
        "(16777217)",
        "public.d is over integer, in the target real",
    ),
    "a domain in arrays": Case(
        "create domain d as numeric(12,4)",
        "create domain d as numeric(10,2)",
        "d[]",
        "{1.2345}",
        "numeric(10,2)",
    ),
    "a range": Case(
        RANGE.format("int8"), RANGE.format("float8"), "x", "[1,9)", "over bigint, in the target double"
    ),
    "a multirange": Case(RANGE.format("int8"), RANGE.format("float8"), "xs", "{[1,9)}", "over bigint"),
    "a range of labels": Case(
        f"{MOOD}; {RANGE.format('mood')}",
        f"{UPSIDE_DOWN}; {RANGE.format('mood')}",
        "x",
        "[low,low]",
        "another order",
    ),
    "a range of texts": Case(
        RANGE.format('text, collation = "C"'),
        RANGE.format("text"),
        "x",
        "[a,b)",
        'sorts by text collate pg_catalog."C"',
    ),
    "another kind": Case(
        SPAN, "create type x as enum ('(10,20)')", "x", "(10,20)", "composite type, in the target an enum"
    ),
    "no domain": Case("create domain x as text", SPAN, "x", "(10,20)", "over text, in the target no domain"),
}


@pytest.fixture
def databases(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    return new_database(), new_database()


def filled(database: Database, made: str, type: str, *values: str) -> None:
    database.execute(f"{made}; create table t (id int primary key, v {type})")
    for number, value in enumerate(values):
        database.execute(f"insert into t values ({number}, %s)", (value,))


@pytest.mark.parametrize("case", OTHER.values(), ids=OTHER)
def test_a_type_of_the_same_name_that_is_another_one_is_refused_while_planning(
    databases: tuple[Database, Database], case: Case
) -> None:
    source, target = databases
    filled(source, case.here, case.type, case.value)
    target.execute(f"{case.there}; create table there (id int, v {case.type})")
    for into in ("made", "there"):
        with pytest.raises(SchemaError) as caught:
            arrowsync.plan(source.uri, target.uri, table="t", target_table=into)
        assert case.says in str(caught.value)
        assert caught.value.column == "v"
        assert "--cast v=text" in str(caught.value.hint)


def test_the_text_of_another_type_can_be_copied(databases: tuple[Database, Database]) -> None:
    source, target = databases
    filled(source, SPAN, "x", "(10,20)")
    target.execute(TURNED)
    report = arrowsync.copy(source.uri, target.uri, table="t", cast={"v": "text"}, verify="hash")
    assert report.verified == "hash"
    assert target.execute("select v from t") == [("(10,20)",)]


WIDER = {
    "an enum": Case(
        MOOD, UPSIDE_DOWN, "mood", "low", "public.mood of the target has its labels in another order"
    ),
    "more labels": Case(
        MOOD,
        "create type mood as enum ('low', 'mid', 'rather high', 'high')",
        "mood",
        "high",
        "has more labels",
    ),
    "in arrays": Case(MOOD, UPSIDE_DOWN, "mood[]", "{low,NULL,high}", "another order"),
    "inside": Case(
        f"{MOOD}; create type x as (a int, m mood)",
        f"{UPSIDE_DOWN}; create type x as (a int, m mood)",
        "x",
        "(1,low)",
        "another order",
    ),
    "under a domain": Case(
        f"{MOOD}; create domain d as mood",
        f"{UPSIDE_DOWN}; create domain d as mood",
        "d",
        "mid",
        "another order",
    ),
    "a domain over a wider type": Case(
        "create domain d as int", "create domain d as real", "d", "7", "over integer, in the target over real"
    ),
    "texts that sort otherwise": Case(
        'create type x as (a text collate "C")', "create type x as (a text)", "x", "(z)", "sorts by"
    ),
}


@pytest.mark.parametrize("case", WIDER.values(), ids=WIDER)
def test_what_only_compares_otherwise_keeps_its_values_and_the_plan_says_so(
    databases: tuple[Database, Database], case: Case
) -> None:
    source, target = databases
    filled(source, case.here, case.type, case.value)
    target.execute(f"{case.there}; create table there (id int, v {case.type})")
    for into in ("made", "there"):
        plan = arrowsync.plan(source.uri, target.uri, table="t", target_table=into)
        route = plan.tables[0].columns[1].route
        assert route.fidelity is Fidelity.WIDENED
        assert case.says in route.reason
        plan.run()
        assert target.execute(f"select v::text from {into}") == [(case.value,)]


def test_a_domains_rules_of_the_target_refuse_rows_and_change_none(
    databases: tuple[Database, Database],
) -> None:
    source, target = databases
    filled(source, "create domain d as numeric(12,4)", "d", "1.25", "1.2345", "-1", "NaN")
    target.execute("create domain d as numeric(10,2) default 5 not null check (value > 0)")
    report = arrowsync.copy(source.uri, target.uri, table="t")
    assert (report.status, report.rows_quarantined) == ("partial", 2)
    assert target.execute("select v::text from t order by id") == [("1.25",), ("NaN",)]


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "append"])
def test_whole_numbers_go_into_a_domain_over_floats_and_the_others_are_refused(
    databases: tuple[Database, Database], is_there: bool
) -> None:
    source, target = databases
    filled(source, "create domain d as int", "d", "7", "16777217")
    target.execute("create domain d as real" + ("; create table t (id int, v d)" if is_there else ""))
    report = arrowsync.copy(source.uri, target.uri, table="t", mode="append" if is_there else "create")
    assert (report.rows_written, report.rows_quarantined) == (1, 1)
    assert target.execute("select v::text from t") == [("7",)]


def test_a_label_that_an_existing_column_lacks_is_a_refused_row(databases: tuple[Database, Database]) -> None:
    source, target = databases
    filled(source, MOOD, "mood", "low", "mid")
    filled(target, "create type mood as enum ('mid')", "mood")
    report = arrowsync.copy(source.uri, target.uri, table="t", mode="append")
    assert (report.rows_written, report.rows_quarantined) == (1, 1)
    assert target.execute("select v::text from t") == [("mid",)]


def test_equal_types_are_exact_whatever_the_order_of_their_making(
    databases: tuple[Database, Database],
) -> None:
    source, target = databases
    filled(source, f"{SPAN}; {MOOD}; create type y as (a x, m mood[])", "y", '("(1,2)",{low})')
    target.execute(f"{MOOD}; {SPAN}; create type y as (a x, m mood[])")
    plan = arrowsync.plan(source.uri, target.uri, table="t")
    assert plan.tables[0].columns[1].route.fidelity is Fidelity.EXACT


# -- verify ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["another order", "in arrays", "under a domain", "inside another", "a multirange"]
)
def test_equal_bytes_of_types_that_are_others_are_not_called_equal(
    databases: tuple[Database, Database], name: str
) -> None:
    source, target = databases
    case = OTHER[name]
    filled(source, case.here, case.type, case.value)
    filled(target, case.there, case.type, case.value)
    check = arrowsync.verify(source.uri, target.uri, table="t")
    assert check.status == "not comparable"
    assert "made of other parts" in check.tables[0].reason


@pytest.mark.parametrize("value", ["low", "high"])
def test_two_enums_are_compared_by_their_labels(databases: tuple[Database, Database], value: str) -> None:
    source, target = databases
    filled(source, MOOD, "mood", "low")
    filled(target, UPSIDE_DOWN, "mood", value)
    assert arrowsync.verify(source.uri, target.uri, table="t").equal is (value == "low")


# -- views -------------------------------------------------------------------------------------------------


def test_a_view_over_a_type_that_is_another_one_is_not_made(databases: tuple[Database, Database]) -> None:
    source, target = databases
    filled(source, MOOD, "mood", "low")
    source.execute("create view w as select v from t where v > 'mid'")
    target.execute(UPSIDE_DOWN)
    plan = arrowsync.plan(source.uri, target.uri, views=True)
    assert [str(table.source.name) for table in plan.tables] == ["public.t"]
    assert "public.w" in str(plan.skipped[0].table)
    assert "labels in another order" in plan.skipped[0].sentence


# -- through a file ----------------------------------------------------------------------------------------


def test_the_digits_of_a_domain_that_came_through_a_file_are_kept_or_refused(
    databases: tuple[Database, Database], tmp_path: Path
) -> None:
    source, target = databases
    filled(source, "create domain d as numeric(12,4)", "d", "1.25", "1.2345")
    target.execute("create domain d as numeric(10,2)")
    file = str(tmp_path / "there.db")
    arrowsync.copy(source.uri, file, table="t")
    report = arrowsync.copy(file, target.uri, table="t")
    assert (report.rows_written, report.rows_quarantined) == (1, 1)
    assert target.execute("select v::text from t") == [("1.25",)]


@pytest.mark.parametrize(("made", "type", "value"), [(SPAN, "x", "(10,20)"), (MOOD, "mood", "low")])
def test_what_a_file_does_not_know_of_a_type_the_plan_does_not_call_exact(
    databases: tuple[Database, Database], tmp_path: Path, made: str, type: str, value: str
) -> None:
    source, target = databases
    filled(source, made, type, value)
    target.execute(made)
    file = str(tmp_path / "there.db")
    arrowsync.copy(source.uri, file, table="t")
    plan = arrowsync.plan(file, target.uri, table="t")
    route = plan.tables[0].columns[1].route
    expected = (
        (Fidelity.EXACT, "") if type == "mood" else (Fidelity.WIDENED, f"the text of a public.{type}, as")
    )
    assert (route.fidelity, route.reason[: len(expected[1])]) == expected
    plan.run()
    assert target.execute("select v::text from t") == [(value,)]
