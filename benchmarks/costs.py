"""Whose code takes the CPU of a copy? arrowsync, the drivers alone and DuckDB, one run each on every route.

Linux, with perf: samples of the copying process by shared library; what else the machine did meanwhile is the
server's. No part of `python -m benchmarks`: it judges nothing.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
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
    """Seconds of the whole process, and CPU seconds by whose code took them."""
    with TemporaryDirectory() as folder:
        samples = Path(folder) / "samples"
        busy, idle = _machine()
        command = [*PERF, "--output", str(samples), *map(str, contestant.command(source, target))]
        measured = measure(command, contestant.environment)
        busy, idle = (now - before for now, before in zip(_machine(), (busy, idle), strict=True))
        shares = by_owner(_report(samples))
    return {
        "seconds": measured.seconds,
        **{whose: share * measured.cpu_seconds for whose, share in shares.items()},
        "server": busy - measured.cpu_seconds,
        "idle": idle,
    }


def by_owner(report: Sequence[str]) -> dict[str, float]:
    """Shares of perf's lines, "12.34%  libarrow.so", by whose library it is."""
    found: Counter[str] = Counter()
    for line in report:
        if (match := re.match(r"\s*([\d.]+)%\s+(\S+)", line)) is not None:
            owner = next(name for name, pattern in WHOSE.items() if re.search(pattern, match[2]))
            found[owner] += float(match[1])
    whole = found.total() or 1.0
    return {name: found[name] / whole for name in WHOSE}


def _report(samples: Path) -> list[str]:
    command = ["perf", "report", "--stdio", "--no-children", "--sort=dso", f"--input={samples}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _machine() -> tuple[float, float]:
    """CPU seconds that all processors together were busy, and idle."""
    user, nice, system, idle, iowait, irq, soft, steal = (
        int(ticks) / HERTZ for ticks in Path("/proc/stat").read_text().split()[1:9]
    )
    return user + nice + system + irq + soft + steal, idle + iowait


if __name__ == "__main__":
    main("costs", run)
