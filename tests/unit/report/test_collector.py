"""Events become a report's numbers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from arrowsync.core.events import PartitionStarted, Paused, Retried, TableFinished, TableStarted
from arrowsync.core.receipts import Fingerprint
from arrowsync.errors import SchemaError
from arrowsync.report import Collector, Report
from arrowsync.report.collector import LONGEST_TIMELINE
from tests.fakes import FakeClock
from tests.unit.builders import TRANSFER, a_batch, a_plan, a_receipt, a_report, a_table, events


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def collector(clock: FakeClock) -> Collector:
    return Collector(TRANSFER, clock=clock)


def told(collector: Collector, *happened: object) -> Report:
    for event in happened:
        collector(event)
    return collector.finish()


def test_a_copied_table_is_complete_with_its_rows_and_rates() -> None:
    report = a_report("orders")
    assert report.status == "complete"
    assert (report.rows_read, report.rows_written, report.batches, report.partitions) == (350, 350, 3, 1)
    assert (report.rows_per_second, report.bytes_per_second) == (175.0, 1750.0)
    assert report.longest_source_query_seconds == 0.75
    assert report.batch_seconds_mean == 0.5
    assert report.fingerprint == Fingerprint(350, 7)


def test_a_report_says_who_what_and_when() -> None:
    report = a_report("orders")
    assert (report.transfer, report.mode) == (TRANSFER.id, "create")
    assert (report.source, report.target) == (TRANSFER.source, TRANSFER.target)
    assert report.started_at.tzinfo is not None
    assert (report.tables[0].table, report.tables[0].target_table) == ("orders", "public.orders")


def test_the_last_batch_of_a_partition_does_not_count_as_the_smallest(collector: Collector) -> None:
    report = told(collector, *events("orders", (300, 100, 200, 1)))
    assert (report.batch_rows_min, report.batch_rows_max) == (100, 300)


def test_a_partition_of_one_batch_has_no_other_smallest(collector: Collector) -> None:
    report = told(collector, *events("orders", (17,)))
    assert (report.batch_rows_min, report.batch_rows_max) == (17, 17)


def test_a_second_attempt_of_a_partition_does_not_make_the_first_ones_last_batch_a_full_one(
    collector: Collector,
) -> None:
    report = told(
        collector,
        a_batch("orders", 0, 500),
        a_batch("orders", 0, 3),
        PartitionStarted(table="orders", partition=0),
        a_batch("orders", 0, 500),
        a_batch("orders", 0, 400),
    )
    assert report.batch_rows_min == 500


def test_what_was_committed_before_a_table_started_over_does_not_count(collector: Collector) -> None:
    report = told(collector, *events("orders"), *events("orders"))
    assert (report.rows_written, report.partitions, report.batches) == (350, 1, 6)
    assert report.fingerprint == Fingerprint(350, 7)


def test_an_earlier_runs_rows_count_but_not_in_the_rates(collector: Collector, clock: FakeClock) -> None:
    _, *rest = events("orders")
    resumed = (a_receipt(7, 1000), a_receipt(8, 500, quarantined=2))
    for event in (TableStarted(table="orders", plan=a_plan(a_table()), resumed=resumed), *rest):
        collector(event)
    clock.seconds = 10.0
    report = collector.finish()
    assert (report.rows_written, report.rows_resumed, report.rows_read) == (1850, 1500, 1852)
    assert (report.partitions, report.partitions_resumed) == (3, 2)
    assert report.rows_per_second == 35.0
    assert report.fingerprint == Fingerprint(1850, 21)


def test_rows_in_quarantine_make_it_partial_and_name_the_folder(collector: Collector) -> None:
    report = told(collector, *events("orders", quarantined=3, quarantine="/srv/q/orders"))
    assert (report.status, report.rows_quarantined, report.rows_read) == ("partial", 3, 353)
    assert report.quarantine == ("/srv/q/orders",)


def test_a_table_that_never_finished_has_failed(collector: Collector) -> None:
    assert told(collector, *events("orders")[:-1]).status == "failed"


def test_an_error_of_a_table_fails_the_whole(collector: Collector) -> None:
    collector.finish_table("lost", errors=[SchemaError("no such type", column="a", hint="Cast it")])
    report = told(collector, *events("orders"))
    assert report.status == "failed"
    assert [table.status for table in report.tables] == ["failed", "complete"]
    (error,) = report.errors
    assert (error.type, error.table, error.hint) == ("SchemaError", "lost", "Cast it")
    assert error.message == "no such type (column 'a')"


def test_an_error_of_no_table_fails_the_whole(collector: Collector) -> None:
    for event in events("orders"):
        collector(event)
    report = collector.finish(errors=[KeyboardInterrupt()])
    assert (report.status, report.errors[0].type) == ("failed", "KeyboardInterrupt")


def test_warnings_of_tables_bear_their_names() -> None:
    collector = Collector(TRANSFER)
    collector.finish_table("orders", warnings=["key k is not enforced"])
    report = collector.finish(warnings=["fewer workers"])
    assert report.warnings == ("fewer workers", "orders: key k is not enforced")
    assert report.tables[0].warnings == ("key k is not enforced",)


def test_waits_and_tries_are_counted(collector: Collector) -> None:
    report = told(
        collector,
        Paused(table="orders", partition=0, seconds=1.0, memory=900),
        Retried(table="orders", partition=0, attempt=2, wait_seconds=1, error="gone"),
        Retried(table="orders", partition=0, attempt=3, wait_seconds=1, error="late", timeout=True),
    )
    assert (report.pauses, report.retries, report.timeouts) == (1, 2, 1)
    assert report.peak_memory == 900


def test_the_larger_peak_of_memory_is_reported(collector: Collector) -> None:
    collector(a_batch("orders", 0, 10, memory=500))
    assert collector.finish(peak_memory=700).peak_memory == 700
    assert collector.finish(peak_memory=300).peak_memory == 500


@pytest.mark.parametrize(
    ("of_tables", "of_all"),
    [
        (["hash", "hash"], "hash"),
        (["hash", "count"], "count"),
        (["count", None], None),
        ([], None),
    ],
)
def test_a_transfer_is_verified_as_its_least_verified_table(of_tables: list[str], of_all: str) -> None:
    collector = Collector(TRANSFER)
    for number, verified in enumerate(of_tables):
        collector.finish_table(f"t{number}", verified=verified)
    assert collector.finish().verified == of_all


def test_a_timeline_stays_short_and_keeps_its_ends(collector: Collector, clock: FakeClock) -> None:
    for number in range(5 * LONGEST_TIMELINE):
        clock.seconds = number
        collector(a_batch("orders", 0, 1))
    timeline = collector.finish().tables[0].timeline
    assert LONGEST_TIMELINE / 2 - 1 <= len(timeline) < LONGEST_TIMELINE
    assert timeline[0].seconds < 10
    assert timeline[-1].seconds > 5 * LONGEST_TIMELINE - 10
    steps = {after.rows - before.rows for before, after in pairwise(timeline)}
    assert len(steps) == 1


def test_events_of_many_threads_are_all_counted(collector: Collector) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(lambda table: [collector(a_batch(table, 0, 1)) for _ in range(500)], f"t{number}")
    report = collector.finish()
    assert report.batches == 4000
    assert len(report.tables) == 8


def test_a_report_of_nothing_is_complete() -> None:
    report = Collector(TRANSFER, clock=lambda: 1.0).finish()
    assert (report.status, report.rows_written, report.batch_rows_min) == ("complete", 0, None)


def test_a_partial_table_keeps_its_status(collector: Collector) -> None:
    collector(TableFinished(table="orders", status="partial", rows=1, seconds=1))
    assert collector.finish().status == "partial"


def test_a_view_has_no_rows_of_its_own_to_be_verified(collector: Collector) -> None:
    collector(TableStarted(table="seen", plan=replace(a_plan(a_table()), partitions=())))
    collector.finish_table("seen")
    collector.finish_table("orders", verified="hash")
    assert collector.finish().verified == "hash"
