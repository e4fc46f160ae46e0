"""What the user gets back: reports as values, collected from events, shown as documents."""

from arrowsync.report.collector import Collector
from arrowsync.report.values import Failure, Report, TableReport, Tick, exit_code
from arrowsync.report.verification import Verification

__all__ = ["Collector", "Failure", "Report", "TableReport", "Tick", "Verification", "exit_code"]
