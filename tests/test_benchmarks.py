"""The benchmarks' pure parts: what they compare, how they judge, and what they print."""

import json
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.__main__ import report
from benchmarks.chart import draw
from benchmarks.copy import OPTIMISED, WHEEL, figures, judge
from benchmarks.costs import by_owner
from benchmarks.data import KEYLESS, LINEITEM, Size
from benchmarks.harness import Measured, ProcessFailed, Result, Row, markdown, measure, median_of, parse
from benchmarks.proof import digest, total
from benchmarks.shelf import ROUTES, alone, routes
from tests.fix_sqlite import MAKE, in_child

PG_PG = ("postgresql", "postgresql")


def test_the_digest_does_not_depend_on_the_order_of_rows() -> None:
    assert total([b"1|a", b"2|b", b"2|b"]) == total([b"2|b", b"1|a", b"2|b"])


def test_the_digest_tells_a_changed_a_missing_and_a_doubled_row() -> None:
    rows = [b"1|a", b"2|b"]
    assert len({total(rows), total([b"1|a", b"2|c"]), total(rows[:1]), total([*rows, b"2|b"])}) == 4


def test_sqlite_s_spelling_of_a_decimal_does_not_count_but_null_does(tmp_path: Path) -> None:
    dataset = replace(LINEITEM, columns={"id": "integer", "price": "decimal(15,2)"})
    rows = "(1, 17), (2, 17.0), (3, '17.00'), (4, 0.5), (5, null)"
    path = tmp_path / "source.db"
    in_child(
        MAKE, str(path), f"create table lineitem (id integer, price); insert into lineitem values {rows}"
    )
    expected = total([b"1|17.00", b"2|17.00", b"3|17.00", b"4|0.50", b"5|<null>"])
    assert digest(f"sqlite:///{path}", dataset) == expected


def test_a_dataset_without_a_key_declares_none() -> None:
    assert "primary key (l_orderkey, l_linenumber)" in LINEITEM.ddl()
    assert "primary key" not in KEYLESS.ddl()


def test_a_measured_process_tells_its_time_its_own_peak_and_its_output() -> None:
    hundred = measure(
        [sys.executable, "-c", "import time; bytearray(100 << 20); time.sleep(0.1); print('x')"]
    )
    assert hundred.output == "x\n"
    assert 0.1 <= hundred.seconds < 10
    assert 100 << 20 < hundred.peak_bytes < 150 << 20


def test_the_peak_of_a_lean_process_is_not_its_starter_s() -> None:
    fat = bytearray(b"x" * (100 << 20))
    assert measure(["true"]).peak_bytes < len(fat) // 2


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(ProcessFailed, match="ValueError: no"):
        measure([sys.executable, "-c", "raise ValueError('no')"])


def test_a_failure_is_a_failed_check_and_the_next_row_goes_on() -> None:
    result = Result()
    row = result.row(route="a → b")
    with result.attempt(row):
        raise ProcessFailed("disk full")
    assert row == {"route": "a → b", "error": "disk full"}
    assert [check.passed for check in result.checks] == [False]


def test_the_median_takes_the_largest_peak_of_all_runs() -> None:
    runs = [Measured(3.0, 0.1, 7, ""), Measured(1.0, 0.3, 9, ""), Measured(2.0, 0.2, 8, "")]
    assert median_of(runs) == Measured(2.0, 0.2, 9, "")


def test_rates_are_of_the_rows_that_were_copied() -> None:
    row = figures([Measured(2.0, 1.0, 1 << 20, "")] * 3, Size(rows=100, bytes=4_000_000))
    assert (row["rows_per_second"], row["mb_per_second"], row["peak_mib"]) == (50, 2, 1)


@pytest.mark.parametrize(("speed", "passed"), [(90, False), (100, True)])
def test_a_rival_that_is_faster_than_promised_fails_a_check(speed: int, passed: bool) -> None:
    result = Result()
    ours: Row = {"table": "t", "rows_per_second": speed}
    judge(result, PG_PG, {WHEEL: ours, "DuckDB": {"rows_per_second": 100}})
    assert [check.passed for check in result.checks] == [passed]


def test_an_optimised_driver_is_judged_beside_the_wheel() -> None:
    result = Result()
    ours: Row = {"table": "t", "rows_per_second": 90}
    rival: Row = {"rows_per_second": 100}
    judge(result, ("sqlite", "postgresql"), {WHEEL: ours, OPTIMISED: ours, "DuckDB": rival})
    assert [(check.wanted, check.passed) for check in result.checks] == [("≥ 0.8 ×", True), ("≥ 1 ×", False)]


def test_routes_are_the_usual_ones_unless_named() -> None:
    assert routes(parse([], prog="")) == list(ROUTES)
    assert routes(parse(["--routes", "sqlite-sqlite"], prog="")) == [("sqlite", "sqlite")]


def test_results_print_as_markdown_tables_with_every_column() -> None:
    result = Result([{"route": "a|b", "rows": 6_001_215}, {"error": "disk full"}])
    result.check("cells", "differ", "equal", passed=False)
    lines = markdown("copy", result.rows, [asdict(check) for check in result.checks]).splitlines()
    assert lines[:6] == [
        "## copy",
        "",
        "| route | rows | error |",
        "| --- | --- | --- |",
        "| a\\|b | 6,001,215 |  |",
        "|  |  | disk full |",
    ]
    assert lines[-1] == "| cells | differ | equal | **NO** |"


def test_results_of_another_commit_say_so() -> None:
    found = [
        {"benchmark": name, "machine": {"commit": commit}, "rows": [{"rows": 1}], "checks": []}
        for name, commit in (("memory", "abc"), ("copy", "def"), ("micro", "abc"))
    ]
    titles = [line for line in report(found).splitlines() if line.startswith("## ")]
    assert titles == ["## memory", "## copy, at commit def", "## micro"]


def test_the_chart_draws_what_finished(tmp_path: Path) -> None:
    speed = {"route": "a → b", "table": "t", "contestant": "DuckDB", "rows_per_second": 1e6}
    memory = {"route": "a → b", "limit_mib": 64, "added_mib": 50.0}
    failed = {"route": "a → b", "error": "disk full"}
    results = [{"benchmark": "copy", "rows": [speed, failed]}, {"benchmark": "memory", "rows": [memory]}]
    draw(json.loads(json.dumps(results)), tmp_path / "chart.svg")
    assert "DuckDB" in (tmp_path / "chart.svg").read_text()


def test_a_second_run_in_the_same_folder_waits_for_the_first(tmp_path: Path) -> None:
    began = threading.Event()

    def second() -> None:
        with alone(tmp_path):
            began.set()

    other = threading.Thread(target=second)
    with alone(tmp_path):
        other.start()
        assert not began.wait(0.2)
    assert began.wait(10)
    other.join()


def test_what_a_profiler_saw_is_summed_up_by_whose_library_it_is() -> None:
    report = [
        "# Overhead  Shared Object",
        "    40.00%  libadbc_driver_postgresql.so",
        "    10.00%  libpq.so.5.15",
        "    25.00%  libarrow.so.2600",
        "     5.00%  libparquet.so.2600",
        "    10.00%  _compute.cpython-311-x86_64-linux-gnu.so",
        "    10.00%  [kernel.kallsyms]",
    ]
    shares = by_owner(report)
    assert {owner: round(share, 2) for owner, share in shares.items() if share} == {
        "drivers": 0.5,
        "arrow": 0.3,
        "python": 0.1,
        "libc, kernel": 0.1,
    }
