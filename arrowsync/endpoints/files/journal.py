"""The journal of a folder of parts: a small file beside them while a transfer writes.

Each part's receipt is a file beside it, see receipts.py. What a folder is for, and which parts there are, is
place.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arrowsync.core.plan import TablePlan
from arrowsync.core.receipts import Partition, Phase, Receipt, Unfinished
from arrowsync.core.status import RUNNING, TableStatus, TransferStatus
from arrowsync.core.write_modes import decide
from arrowsync.endpoints.files import receipts
from arrowsync.endpoints.files.file_system import write_whole
from arrowsync.errors import ResumeError

FILE = ".arrowsync.json"
LAYOUT = 2  # receipts beside the parts; the layout before it had them in the parts, and no number


@dataclass(frozen=True, slots=True)
class FolderJournal:
    """The journal in `folder`, which is the target or what will take its place."""

    folder: Path

    def begin(
        self,
        plan: TablePlan,
        target: Path,
        state: Mapping[str, Any],  # Any: JSON
        given_up: Iterable[str],
    ) -> None:
        self._write(
            {
                "layout": LAYOUT,
                "folder": str(self.folder),
                "target": str(target),
                "transfer": plan.transfer.id,
                "run": plan.run,
                "given_up": sorted(given_up),
                "request": plan.transfer.identity(),
                "partitions": [asdict(partition) for partition in plan.partitions],
                "state": {**plan.noted, **state},
                "started_at": datetime.now(UTC).isoformat(),
            }
        )

    def remember(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        if (noted := self._read()) is not None:
            self._write({**noted, "state": {**noted["state"], **state}})

    def publish(self, outcome: Mapping[str, Any]) -> None:  # Any: JSON
        """Note that all parts are in. What is to take the target's place is finished when it stands there."""
        if (noted := self._read()) is not None:
            self._write({**noted, "published": True, "state": {**noted["state"], **outcome}})

    def finish(self) -> None:
        (self.folder / FILE).unlink(missing_ok=True)

    @property
    def run(self) -> str | None:
        """The run that may write here."""
        noted = self._read()
        return str(noted["run"]) if noted else None

    @property
    def given_up(self) -> set[str]:
        """Runs whose parts this one takes back: noted first, so that a kill in between is made good."""
        noted = self._read()
        return set(noted["given_up"]) if noted else set()

    def check(self, plan: TablePlan) -> None:
        """Raise ResumeError when the transfer is no longer this run's."""
        if self.run != plan.run:
            raise ResumeError(
                "another run has finished this transfer, or started it over",
                hint="`arrowsync status` shows what is under way",
            )

    def claim(self, plan: TablePlan) -> None:
        """Raise ResumeError, too, when the run has gone on without us."""
        self.check(plan)
        noted = self._read()
        if noted is None or noted["state"].get("turn", "") != plan.fencing_token:
            raise ResumeError("this partition comes too late: its run has ended, or was gone on with")

    def unfinished(self, target: Path) -> Unfinished | None:
        """The transfer into `target` that has begun here and is not over."""
        noted = self._read()
        if noted is None or noted["target"] != str(target):
            return None
        found, published = self.receipts(noted["run"]), self._is_published(noted)
        if noted.get("layout") != LAYOUT and not decide(noted["request"]["mode"], exists=False).replaces:
            published = False  # its partitions are copied again, each part takes the place of the one before
        gone = published and len(found) < len(noted["partitions"])
        return Unfinished(
            transfer=noted["transfer"],
            target=target.name,
            request=noted["request"],
            partitions=tuple(Partition(**partition) for partition in noted["partitions"]),
            receipts=found,
            state=noted["state"],
            phase=Phase.PUBLISHED if published else Phase.RUNNING,
            run=noted["run"],
            # Nobody knows how many rows a part has that lacks its receipt.
            committed=any(receipt.rows for receipt in found) or len(found) < len(self.parts(noted["run"])),
            write_table_state="changed" if gone else "kept",
        )

    def _is_published(self, noted: Mapping[str, Any]) -> bool:  # Any: JSON
        """Whether its parts stand in the target's place, all of them."""
        return bool(noted.get("published")) and noted["target"] == str(self.folder)

    def status(self, target: Path) -> TransferStatus | None:
        """How far the transfer into `target` is that has begun here and not finished, run by whomever."""
        noted = self._read()
        if noted is None or noted["target"] != str(target):
            return None
        found = self.receipts(noted["run"])
        table = TableStatus(
            target.name,
            noted["state"]["outcome"] if self._is_published(noted) else RUNNING,
            len(noted["partitions"]),
            len(found),
            sum(receipt.rows for receipt in found),
            sum(receipt.quarantined for receipt in found),
        )
        began = datetime.fromisoformat(noted["started_at"])
        age_seconds = (datetime.now(UTC) - began).total_seconds()
        request = noted["request"]
        return TransferStatus(
            *(noted["transfer"], request["source"], request["mode"], RUNNING),
            *(noted["started_at"], None, age_seconds, (table,)),
        )

    def parts(self, run: str) -> list[Path]:
        return sorted(self.folder.glob(f"part-*-{run}.*"))

    def files(self, run: str) -> list[Path]:
        """The run's parts and their receipts."""
        return [*self.parts(run), *self.folder.glob(f".part-*-{run}.*{receipts.SUFFIX}")]

    def receipts(self, run: str) -> tuple[Receipt, ...]:
        found = map(receipts.read, self.parts(run))
        return tuple(receipt for receipt in found if receipt is not None)

    def _read(self) -> dict[str, Any] | None:  # Any: JSON
        try:
            noted: dict[str, Any] = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ResumeError(
                f"the journal {self.folder / FILE} cannot be read", hint="Take it away to start over"
            ) from error
        # A folder brings the journal of its making along: swapped in, or moved by others.
        return noted if noted["folder"] == str(self.folder) or self._is_published(noted) else None

    def _write(self, noted: Mapping[str, Any]) -> None:  # Any: JSON
        write_whole(self.folder / FILE, json.dumps(noted))
