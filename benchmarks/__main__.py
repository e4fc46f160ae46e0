"""Runs every benchmark and writes results.json, results.md and results.svg, with versions and machine.

`--only` runs those named and keeps the others' results, which say at which commit they were measured.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.chart import draw
from benchmarks.harness import ROOT, machine, markdown, parse, say, table

# The promises first, the curves last.
BENCHMARKS = ("roundtrip", "memory", "copy", "bad_rows", "startup", "micro", "scaling")
PROG = "python -m benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(prog=PROG, add_help=False)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--only", choices=BENCHMARKS, action="append")
    mine, arguments = parser.parse_known_args()
    # A slip of the pen shows now, not after an hour.
    parse(arguments, prog=f"{PROG} [--output DIR] [--only BENCHMARK]…")
    mine.output.mkdir(parents=True, exist_ok=True)
    stored = mine.output / "results.json"
    kept = {each["benchmark"]: each for each in json.loads(stored.read_text())} if mine.only else {}
    found = [
        kept[name] if name not in (mine.only or BENCHMARKS) else run(name, arguments) for name in BENCHMARKS
    ]
    stored.write_text(json.dumps(found, indent=1))
    text = report(found)
    (mine.output / "results.md").write_text(text)
    draw(found, mine.output / "results.svg")
    print(text)
    sys.exit(not all(check["passed"] for each in found for check in each["checks"]))


def run(name: str, arguments: list[str]) -> dict[str, Any]:  # Any: JSON
    """One benchmark as a process of its own; one that dies is a failed check."""
    say(f"== {name}")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        died = {
            "what": name,
            "measured": f"exit code {done.returncode}",
            "wanted": "a result",
            "passed": False,
        }
        return {"benchmark": name, "machine": machine(), "rows": [], "checks": [died]}
    return answer


def report(found: list[dict[str, Any]]) -> str:
    """Everything as Markdown; what was measured at another commit than the first says so."""
    facts = table([{"machine": name, "": value} for name, value in found[0]["machine"].items()])
    parts = []
    for each in found:
        commit, in_fresh_process = each["machine"]["commit"], found[0]["machine"]["commit"]
        title = each["benchmark"] + (f", at commit {commit}" if commit != in_fresh_process else "")
        parts.append(markdown(title, each["rows"], each["checks"]))
    return "\n\n".join(["# Benchmarks", facts, *parts]) + "\n"


if __name__ == "__main__":
    main()
