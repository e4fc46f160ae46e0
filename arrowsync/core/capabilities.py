"""What an endpoint can do, as data: the engine asks these fields and never which database it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What may be relied on. The defaults are what any ADBC driver can be expected to do, and no more."""

    # -- as a source
    one_table: bool = False  # it is one table that needs no name and knows no SQL: files, a frame, a stream
    readers: int | None = 1  # that may be open at once; None: any number
    shareable: bool = False  # other processes can read it, all the same rows
    most_columns: int | None = None  # of a table, a temporary one, and a query's result; None: any number
    default_schema: str | None = None  # of tables named without one; None: the driver is asked
    quote: str = '"'  # begins and ends a name in SQL, and is doubled inside
    one_database: bool = True  # this process opens a place once, for all its connections
    cancels: bool = True  # a call that is under way can be cancelled

    # -- as a sink
    writers: int | None = 1  # that may be open at once; None: any number
    journal: bool = False  # receipts can be kept, so that a transfer is resumed
    isolates_rows: bool = False  # a refused row is told from the others, which are stored
    identifies_rows: bool = False  # rows of an unfinished append can be told from others, and taken away
    creates_by_ingest: bool = True  # the driver makes a new table of the ingest's Arrow types
    adds_foreign_keys: bool = True  # to tables that are there; else they are made with the table
    drops_journal: bool = False  # at the last transfer's end: a file is somebody's document
    staging_options: Mapping[str, Any] = field(  # Any: adbc_ingest's keyword arguments
        default_factory=lambda: {"temporary": True}, hash=False
    )

    # -- its SQL
    # ADBC's, for small catalogue queries
    query_options: Mapping[str, str] = field(default_factory=dict, hash=False)
    begin_write: str = "begin"
    # Statements that give a session one consistent view, and a query whose value lets others join it.
    begin_snapshot: tuple[str, ...] = ("begin",)
    export_snapshot: str | None = None
    # Where none is exported: a query whose value differs, from one transaction of a connection to its next,
    # if others have committed between. Without one, a single connection reads for all.
    commits: str | None = None
    keep_row: str = ""  # a SELECT's ending that keeps others from deleting its row before we commit
    seconds_since: str = "0"  # the age of a text that holds a current_timestamp: {}
    # What makes this transaction wait for a lock for seconds only, where others would queue behind it.
    short_waits: tuple[str, ...] = ()
    durable: tuple[str, ...] = ()  # makes this transaction's commit, and all before, survive a crash
    check_at_once: tuple[str, ...] = ()  # makes deferred constraints speak before the commit
    rows_changed: str = ""  # a query for the rows of the last INSERT, where the driver does not say


ANY_DRIVER = Capabilities()
