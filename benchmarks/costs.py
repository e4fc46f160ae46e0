"""Whose code takes the CPU of a copy? arrowsync, the drivers alone and DuckDB, one run each on every route.

Linux, with perf: samples of the copying process by shared library; what else the machine did meanwhile is the
server's. No part of `python -m benchmarks`: it judges nothing.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.copy import Contestant, ours, own_python, rivals, rivals_python
from benchmarks.data import KEYLESS, TEXTS
from benchmarks.harness import Options, Result, main, measure
from benchmarks.shelf import routes, shelf

PERF = ("perf", "record", "--quiet", "--freq=499", "--event=cpu-clock")
HERTZ = 100  # of /proc/stat
WHOSE = {
    "drivers": r"adbc_driver|libpq|libsqlite",
    "arrow": r"libarrow|libparquet|pyarrow",
    "polars": r"polars",
    "duckdb": r"duckdb|_scanner",
    "python": r"libpython|python3|cpython|ld-linux",
    "libc, kernel": r"",
}


def run(options: Options) -> Result:
    if not shutil.which("perf"):
        sys.exit("perf is not installed")
    result = Result()
    mine, python = own_python(options.data), rivals_python(options.data)
    with shelf(options) as place:
        for route in routes(options):
            for dataset in (KEYLESS, TEXTS):
                found = [*ours(dataset, mine), *rivals(route, dataset, python)]
                for each in [each for each in found if each.rows is None and each.name != "psql pipe"]:
                    row = result.row(route=" → ".join(route), table=dataset.name, contestant=each.name)
                    with result.attempt(row):
                        target = place.target(route[1], dataset)
                        row |= costs(each, place.source(route[0], dataset), target)
    return result


def costs(contestant: Contestant, source: str, target: str) -> dict[str, float]:
    """CPU seconds by whose code took them. No wall clock: perf waits for the next full second."""
    with TemporaryDirectory() as folder:
        samples = Path(folder) / "samples"
        busy = _busy()
        command = [*PERF, "--output", str(samples), *map(str, contestant.command(source, target))]
        measured = measure(command, contestant.environment)
        server = _busy() - busy - measured.cpu_seconds
        shares = by_owner(_report(samples))
    return {**{whose: share * measured.cpu_seconds for whose, share in shares.items()}, "server": server}


def by_owner(report: Sequence[str]) -> dict[str, float]:
    """Shares of perf's lines, "12.34%  libarrow.so", by whose library it is."""
    found = dict.fromkeys(WHOSE, 0.0)
    for line in report:
        if (match := re.match(r"\s*([\d.]+)%\s+(\S+)", line)) is not None:
            owner = next(name for name, pattern in WHOSE.items() if re.search(pattern, match[2]))
            found[owner] += float(match[1])
    whole = sum(found.values()) or 1.0
    return {owner: share / whole for owner, share in found.items()}


def _report(samples: Path) -> list[str]:
    command = ["perf", "report", "--stdio", "--no-children", "--sort=dso", f"--input={samples}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _busy() -> float:
    """CPU seconds that all processors together have worked."""
    user, nice, system, _, _, interrupts, soft, steal = (
        int(ticks) / HERTZ for ticks in Path("/proc/stat").read_text().split()[1:9]
    )
    return user + nice + system + interrupts + soft + steal


if __name__ == "__main__":
    main("costs", run)
