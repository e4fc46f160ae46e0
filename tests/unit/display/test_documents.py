"""What plans and inspected tables show, laid out for terminals and notebooks."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arrowsync.core.plan import Fidelity, TransferPlan
from arrowsync.core.receipts import Partition
from arrowsync.core.table import Check, Column, ForeignKey, Index, Key, NativeType, TableName
from arrowsync.core.write_modes import Write
from arrowsync.display import Shown, html
from arrowsync.display.document import (
    Code,
    Document,
    Grid,
    Heading,
    Notes,
    Section,
    Toned,
    facts,
    grid,
    parts,
)
from arrowsync.display.plan import estimated_seconds, plan_dict, plan_document
from arrowsync.display.tables import WHOLE_AT_MOST, Tables
from arrowsync.display.terminal import console, plain_text, show
from tests.unit.builders import TRANSFER, a_plan, a_table

NASTY = '<script>alert("x & y")</script>'


def everything(text: str) -> Document:
    """A document with `text` wherever a text can be."""
    inside = parts(
        [
            facts((text, text), ("toned", Toned(text, "dim"))),
            Grid((Heading(text), Heading("n", right=True)), ((text, Toned(text, "bad")),)),
            Notes((Toned(text, "warn"),)),
            Code(text),
        ]
    )
    return Document(Toned(text, "good"), (*inside, Section(text, inside)))


TAGS = {"div", "b", "span", "p", "pre", "style", "details", "summary"} | {
    *("table", "thead", "tbody", "tr", "th", "td")
}


class _Balance(HTMLParser):
    """Fails on a tag that is closed out of turn, and on anything from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert not {"src", "href"} & {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_html_is_whole_and_holds_no_tag_of_the_data(text: str) -> None:
    check = _Balance()
    check.feed(html.render(everything(text)))
    check.close()
    assert check.open == []


def test_html_escapes_names() -> None:
    rendered = html.render(everything(NASTY))
    assert NASTY not in rendered
    assert "&lt;script&gt;alert(&quot;x &amp; y&quot;)&lt;/script&gt;" in rendered


def test_html_needs_nothing_from_outside() -> None:
    assert not re.search(r"https?:|@import|url\(", html.render(everything("x")))


@given(st.text(min_size=1), st.integers(20, 200))
def test_a_terminal_of_any_width_is_never_steered_by_data_nor_overrun(text: str, width: int) -> None:
    stream = io.StringIO()
    on = console(stream)
    on.width = width
    show(everything(text), on)
    for line in stream.getvalue().split("\n"):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", line)
        assert cell_len(line) <= width


def test_a_narrow_terminal_loses_optional_columns_the_last_first() -> None:
    headings = [Heading("name"), Heading("rows", right=True), *(Heading(x * 12, optional=True) for x in "ab")]
    document = Document(Toned("t"), (grid(headings, [("orders", "123,456", "a" * 12, "b" * 12)]),))
    wide, middle, narrow = (plain_text(document, width) for width in (80, 45, 30))
    assert "bbbb" in wide
    assert "aaaa" in middle
    assert "bbbb" not in middle
    assert "aaaa" not in narrow
    assert "123,456" in narrow


def test_numbers_are_never_broken_however_narrow() -> None:
    headings = [Heading("name"), Heading("rows", right=True)]
    document = Document(Toned("t"), (grid(headings, [("a_table_with_a_long_name" * 3, "6,001,215")]),))
    assert "6,001,215" in plain_text(document, 30)


def test_a_column_that_says_nothing_is_left_out() -> None:
    assert grid([Heading("a"), Heading("b")], [("1", ""), ("2", "")]).headings == (Heading("a"),)


def test_a_file_is_wide_and_without_colours() -> None:
    stream = io.StringIO()
    show(everything("x" * 120), console(stream))
    assert "\x1b" not in stream.getvalue()
    assert "x" * 120 in stream.getvalue()


def test_a_value_that_shows_itself_does_so_as_text_and_html() -> None:
    class Greeting(Shown):
        def document(self) -> Document:
            return Document(Toned("hello", "good"), ())

    assert str(Greeting()) == "hello"
    assert '<span class="good">hello</span>' in Greeting()._repr_html_()


# -- plans ---------------------------------------------------------------------------------------------------

ORDERS = a_table("orders", ("id", "total"), rows=6_001_215, bytes=820_000_000)
LOSSY = a_plan(ORDERS, fidelity=Fidelity.LOSSY, reason="keeps 6 digits")


def test_a_plan_shows_each_columns_types_fidelity_and_reason() -> None:
    text = plain_text(plan_document(TRANSFER, TransferPlan((LOSSY,))), 140)
    line = next(line for line in text.splitlines() if line.split()[:1] == ["total"])
    assert line.split()[:4] == ["total", "bigint", "bigint", "lossy"]
    assert "keeps 6 digits" in line


def test_a_plan_ends_with_what_would_be_lost() -> None:
    text = plain_text(
        plan_document(
            TRANSFER,
            TransferPlan(
                (
                    a_plan(a_table("fine")),
                    LOSSY,
                )
            ),
        )
    )
    assert "✗ orders.total is lossy: keeps 6 digits" in text
    assert "arrives exactly" not in text


def test_a_plan_without_losses_says_so() -> None:
    assert "✓ every value arrives exactly as it is" in plain_text(
        plan_document(TRANSFER, TransferPlan((a_plan(ORDERS),)))
    )


def test_a_plan_shows_its_statements_in_order() -> None:
    plan = a_plan(
        ORDERS,
        write=Write(before=("create table orders (id bigint);",), builds=("create index i on orders (id)",)),
    )
    text = plain_text(plan_document(TRANSFER, TransferPlan((plan,))))
    assert re.search(r"create table orders \(id bigint\);\n +-- when all rows are in\n +create index i", text)


def test_a_plan_shows_partitions_sizes_and_time() -> None:
    plan = a_plan(ORDERS, partitions=tuple(Partition(n, "key", "id") for n in range(7)))
    text = plain_text(plan_document(TRANSFER, TransferPlan((plan,))))
    assert "plan: 1 table, ~6,001,215 rows, 782 MiB, about 10.6 s; nothing has been written" in text
    assert "7 by id" in text


def test_a_plan_shows_renamed_columns_and_warnings() -> None:
    plan = a_plan(ORDERS, warnings=("the check total > 0 is not carried",))
    renamed = replace(plan.columns[0], target=replace(plan.columns[0].target, name="order_id"))
    text = plain_text(plan_document(TRANSFER, TransferPlan((replace(plan, columns=(renamed,)),))))
    assert "id → order_id" in text
    assert "! orders: the check total > 0 is not carried" in text


def test_a_plan_of_several_tables_sums_them_up() -> None:
    text = plain_text(
        plan_document(
            TRANSFER,
            TransferPlan(
                (
                    a_plan(a_table("first")),
                    LOSSY,
                )
            ),
        )
    )
    rows = {line.split()[0]: line for line in text.splitlines() if "public." in line and "→" not in line}
    assert rows["first"].endswith("1 exact")
    assert rows["orders"].endswith("2 lossy")


def test_time_is_not_guessed_without_a_row_count() -> None:
    assert estimated_seconds([a_plan(ORDERS), a_plan(a_table("t", rows=None))]) is None


def test_a_plan_is_json() -> None:
    plan = plan_dict(
        TRANSFER,
        TransferPlan((replace(LOSSY, write=Write(before=("create table t ()",), last=("analyze t",))),)),
    )
    assert json.loads(json.dumps(plan)) == plan
    assert plan["estimated_rows"] == 6_001_215
    (table,) = plan["tables"]
    assert table["statements"] == ["create table t ()", "analyze t"]
    assert table["columns"][1] == {
        "name": "total",
        "target_name": "total",
        "source_type": "bigint",
        "target_type": "bigint",
        "fidelity": "lossy",
        "reason": "keeps 6 digits",
        "arrow_type": "int64",
    }


# -- inspected tables ----------------------------------------------------------------------------------------

WHOLE = replace(
    ORDERS,
    columns=(
        *ORDERS.columns,
        Column("made", "text", NativeType("sqlite", "text"), default="current_date", nullable=False),
        Column("price", "text", NativeType("postgresql", "money"), generated="total * 2", comment="in euros"),
        Column("n", "bigint", NativeType("sqlite", "bigint"), identity="always"),
    ),
    primary_key=Key(None, ("id",)),
    unique=(Key("u", ("total", "n")),),
    checks=(Check(None, "total > 0"),),
    foreign_keys=(ForeignKey(None, ("n",), TableName("numbers"), ("id",)),),
    indexes=(Index("by_total", ("total",)), Index("by_lower", (), unique=True)),
)


def test_an_inspected_table_shows_columns_keys_and_indexes() -> None:
    text = str(Tables("sqlite:///shop.db", (WHOLE,)))
    assert "orders (table, ~6,001,215 rows, 782 MiB)" in text
    for pattern in (
        r"made +text +not null +current_date",
        r"price +text \(was postgresql money\) +null +generated as \(total \* 2\) +in euros",
        r"n +bigint +.*null +identity, always",
        r"primary key +id",
        r"unique +total, n",
        r"check +total > 0",
        r"foreign key +n → numbers \(id\)",
        r"index +by_total \(total\)",
        r"unique index +by_lower \(expression\)",
    ):
        assert re.search(pattern, text), pattern


def test_many_tables_are_listed_without_their_columns() -> None:
    tables = Tables("somewhere", tuple(a_table(f"t{n}", ("hidden",)) for n in range(WHOLE_AT_MOST + 1)))
    assert "t8" in str(tables)
    assert "hidden" not in str(tables)
    assert "name one to see its columns" in str(tables)


def test_tables_are_a_sequence_and_json() -> None:
    tables = Tables("somewhere", (WHOLE, a_table("b")))
    assert [table.name.name for table in tables] == ["orders", "b"]
    assert tables[0] is WHOLE
    assert tables[:1] == (WHOLE,)
    assert json.loads(json.dumps(tables.to_dict())) == tables.to_dict()
    assert tables.to_dict()["tables"][0]["primary_key"]["columns"] == ["id"]


def test_a_place_without_tables_says_so() -> None:
    assert str(Tables("somewhere", ())) == "somewhere: 0 tables"


@pytest.mark.parametrize("columns", [1, 1600])
def test_tables_of_any_width_are_shown_quickly(columns: int) -> None:
    table = a_table("wide", tuple(f"c{n}" for n in range(columns)))
    assert f"c{columns - 1}" in str(Tables("p", (table,)))
    assert f"c{columns - 1}" in html.render(plan_document(TRANSFER, TransferPlan((a_plan(table),))))
