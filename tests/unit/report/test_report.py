"""Reports as values: JSON, frames, plots, exit codes; and as people see them."""

from __future__ import annotations

import builtins
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import SimpleNamespace

import polars as pl
import pytest
from matplotlib import pyplot

from arrowsync.api import Plan
from arrowsync.core.check import TableCheck
from arrowsync.core.plan import TransferPlan
from arrowsync.core.receipts import Fingerprint
from arrowsync.display.terminal import plain_text
from arrowsync.errors import (
    BatchTimeout,
    ConfigError,
    DataError,
    DriverUnusable,
    Refused,
    SchemaError,
    SnapshotLost,
    TransferError,
    TransientError,
    Unreachable,
    VerificationError,
)
from arrowsync.report import Collector, Failure, Report, Verification, exit_code
from tests.unit.builders import TRANSFER, a_plan, a_report, a_table

REPORT_OF_THE_CONTRACT = {
    *("status", "transfer", "mode", "source", "target", "started_at", "rows_read", "rows_written"),
    *("rows_quarantined", "rows_resumed", "partitions", "partitions_resumed", "batches", "batch_rows_min"),
    *("batch_rows_max", "batch_seconds_mean", "seconds", "rows_per_second", "bytes_per_second"),
    *("peak_memory", "pauses", "timeouts", "retries", "longest_source_query_seconds", "fingerprint"),
    *("verified", "quarantine", "warnings", "errors", "tables"),
}


def failed(*errors: BaseException) -> Report:
    return replace(a_report("orders"), status="failed", errors=tuple(map(Failure.of, errors)))


def in_quarantine() -> Report:
    return replace(
        a_report("orders"), status="partial", rows_quarantined=3, quarantine=("/srv/quarantine/orders",)
    )


def test_to_dict_has_the_names_of_the_contract_and_no_other() -> None:
    report = a_report("orders", "items").to_dict()
    assert set(report) == REPORT_OF_THE_CONTRACT
    for table in report["tables"]:
        assert set(table) == REPORT_OF_THE_CONTRACT - {"tables"} | {"table", "target_table"}


def test_to_dict_is_json_and_nothing_else() -> None:
    report = replace(failed(SchemaError("no", hint="Cast")), quarantine=("/q",), warnings=("w",)).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["errors"] == [
        {"type": "SchemaError", "message": "no", "table": None, "partition": None, "hint": "Cast"}
    ]
    assert report["fingerprint"] == "350:0000000000000007"
    assert datetime.fromisoformat(report["started_at"]).tzinfo == UTC


def test_a_report_crosses_processes_whole() -> None:
    report = in_quarantine()
    assert pickle.loads(pickle.dumps(report)) == report


def test_to_polars_has_a_row_per_table() -> None:
    frame = a_report("orders", "items").to_polars()
    assert frame.columns[:2] == ["table", "target_table"]
    assert frame["table"].to_list() == ["orders", "items"]
    assert frame["rows_written"].sum() == 700
    assert len(frame.columns) == len(fields(Report)) + 1


def test_frames_of_several_reports_can_be_stacked_whatever_they_hold() -> None:
    trouble = Collector(TRANSFER)
    trouble.finish_table("lost", warnings=["w"], errors=[SchemaError("no such type")])
    frames = [report.to_polars() for report in (a_report(), a_report("orders"), trouble.finish())]
    stacked = pl.concat(frames)
    assert stacked["status"].to_list() == ["complete", "failed"]
    assert stacked["errors"].to_list() == [[], ["table lost: no such type"]]
    assert stacked["started_at"].dtype == pl.Datetime("us", "UTC")


def test_plot_draws_a_line_per_table() -> None:
    figure = a_report("orders", "items").plot()
    assert [len(axis.lines) for axis in figure.axes] == [2, 2, 2]


def test_without_matplotlib_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"arrowsync\[plot\]"):
        a_report("orders").plot()


def test_a_complete_report_raises_nothing() -> None:
    a_report("orders").raise_for_status()


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (failed(DataError("too long")), "too long"),
        (in_quarantine(), "3 rows in quarantine: /srv/quarantine/orders"),
        (replace(a_report("t"), status="partial", warnings=("t: key k is not enforced",)), "not enforced"),
    ],
)
def test_raise_for_status_says_why_and_brings_the_report(report: Report, words: str) -> None:
    with pytest.raises(TransferError, match=words) as caught:
        report.raise_for_status()
    assert caught.value.report is report


def of_transfer(report: Report) -> TransferError:
    error = TransferError("a table failed")
    error.report = report
    return error


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (a_report("orders"), 0),
        ("some other result", 0),
        (failed(DataError("x")), 1),
        (failed(), 1),
        (ConfigError("x"), 2),
        (in_quarantine(), 3),
        (failed(VerificationError("x")), 4),
        (VerificationError("x"), 4),
        (KeyboardInterrupt(), 130),
        (TransientError("x"), 1),
        (RuntimeError("a bug"), 1),
        (of_transfer(failed(DataError("x"))), 1),
        (of_transfer(failed(VerificationError("x"))), 4),
        (failed(DataError("x"), VerificationError("x")), 1),
        (replace(failed(VerificationError("x")), rows_quarantined=3), 4),
        (failed(VerificationError("x"), DataError("x"), KeyboardInterrupt()), 130),
    ],
)
def test_the_exit_code_is_the_first_of_130_1_4_3_that_applies(result: object, code: int) -> None:
    assert exit_code(result) == code


def test_a_failure_keeps_place_column_row_and_hint() -> None:
    failure = Failure.of(DataError("too long", table="t", partition=3, column="c", row="7", hint="Cut it"))
    assert str(failure) == "table t, partition 3: too long (column 'c', row 7)"
    assert failure.hint == "Cut it"


def test_a_report_prints_itself_as_text() -> None:
    text = str(in_quarantine())
    assert text.startswith("partial: 350 rows, 3 in quarantine in 2 s")
    for words in (
        "sqlite:///home/me/shop.db  orders",
        "public.orders",
        "175 rows/s",
        "/srv/quarantine/orders",
    ):
        assert words in text


class ZMQInteractiveShell:
    """What IPython's shell is called in a notebook's kernel."""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """As in a notebook whose figures are shown inline; what has been displayed."""
    shown: list[object] = []
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(pyplot, "get_backend", lambda: "inline")
    for module, names in {
        "IPython": {},
        "IPython.core": {},
        "IPython.core.pylabtools": {"print_figure": lambda figure: figure},
        "IPython.display": {"Image": lambda data: data, "display": shown.append},
    }.items():
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**names))
    yield shown
    pyplot.close("all")


def test_a_report_s_text_is_its_text_in_a_notebook_too(notebook: list[object]) -> None:
    text = str(a_report("orders"))
    assert text.startswith("complete: 350 rows in 2 s")
    assert f"{a_report('orders')}" == text
    assert "\x1b" not in text
    assert notebook == []


def test_a_notebook_shows_a_plot_once_as_its_cell_s_value_or_as_the_cell_ends(notebook: list[object]) -> None:
    def end_of_cell() -> None:
        for number in pyplot.get_fignums():  # as the inline backend does
            pyplot.figure(number)._ipython_display_()
        pyplot.close("all")

    hidden = a_report("orders").plot()  # as in `report.plot();`
    end_of_cell()
    assert notebook == [hidden]
    value = a_report("orders").plot()
    value._ipython_display_()
    end_of_cell()
    assert notebook == [hidden, value]
    value._ipython_display_()  # in a later cell
    end_of_cell()
    assert notebook == [hidden, value, value]


def test_a_script_s_plot_is_not_left_open() -> None:
    a_report("orders").plot()
    assert pyplot.get_fignums() == []


def test_a_report_of_several_tables_has_a_line_for_each() -> None:
    lines = str(a_report("orders", "items")).splitlines()
    assert [line.split()[0] for line in lines if line.endswith(" complete")] == ["orders", "items"]


def test_the_repr_is_one_line() -> None:
    assert repr(a_report("orders")) == "<Report complete: 350 rows in 2 s>"


def test_a_notebook_shows_errors_and_hints_escaped() -> None:
    html = failed(SchemaError("no type <b>", hint="Cast & go"))._repr_html_()
    assert "no type &lt;b&gt;" in html
    assert "Cast &amp; go" in html


def test_importing_the_report_imports_neither_polars_nor_rich() -> None:
    script = "import sys, arrowsync.report; print({'polars', 'rich', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


CHECK = Verification(
    "a.db",
    "b.db",
    (TableCheck("order_lines", "t", "different", source=Fingerprint(9, 1), target=Fingerprint(9, 2)),),
)


def test_a_verification_is_short_as_an_object() -> None:
    assert repr(CHECK) == "<Verification: different: 1 of 1 table>"


def test_a_plan_is_short_as_an_object() -> None:
    tables = (a_plan(a_table("a")), a_plan(a_table("b")))
    plan = Plan(TRANSFER, TransferPlan(tables), source=None, sink=None)  # type: ignore[arg-type]  # neither is asked
    assert repr(plan) == "<Plan: 2 tables, 2,000 rows, create>"


def test_a_narrow_terminal_keeps_the_verdict_of_a_verification() -> None:
    for width in (60, 30):
        text = plain_text(CHECK.document(), width)
        assert "order_lines" in text
        assert "verdict" in text


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (Unreachable("x"), "ConfigError"),
        (DriverUnusable("x"), "ConfigError"),
        (SnapshotLost("x"), "ArrowsyncError"),
        (Refused("x"), "ArrowsyncError"),
        (BatchTimeout("x"), "BatchTimeout"),
    ],
    ids=repr,
)
def test_an_internal_error_is_reported_as_its_public_base(error: Exception, shown: str) -> None:
    assert Failure.of(error).type == shown
