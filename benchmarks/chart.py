"""Draws the results: speed beside the rivals on every route, and memory beside its limit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Results = Sequence[dict[str, Any]]  # Any: JSON, as the benchmarks print it


def draw(results: Results, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    speed, memory = figure.subplots(2, 1)
    draw_speed(speed, rows_of(results, "copy"))
    draw_memory(memory, rows_of(results, "memory"))
    figure.savefig(path)


def rows_of(results: Results, name: str) -> list[dict[str, Any]]:
    """The rows of that benchmark that have figures."""
    return [
        row for each in results if each["benchmark"] == name for row in each["rows"] if "error" not in row
    ]


def draw_speed(axes: Any, rows: Sequence[dict[str, Any]]) -> None:  # Any: matplotlib's are not annotated
    """Bars of rows/s for each route and table, one colour a contestant."""
    places = list(dict.fromkeys(f"{row['route']}\n{row['table']}" for row in rows))
    names = list(dict.fromkeys(row["contestant"] for row in rows))
    width = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        mine = [row for row in rows if row["contestant"] == name]
        at = [places.index(f"{row['route']}\n{row['table']}") + number * width for row in mine]
        axes.bar(at, [row["rows_per_second"] / 1e3 for row in mine], width, label=name)
    labels = [place.replace(" → ", " →\n") for place in places]
    axes.set_xticks([n + 0.4 - width / 2 for n in range(len(places))], labels, fontsize=6)
    axes.set_ylabel("thousand rows a second")
    axes.legend(fontsize=7)


def draw_memory(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """What each copy added, over its limit; the line is the limit itself."""
    limits = sorted({row["limit_mib"] for row in rows})
    for route in dict.fromkeys(row["route"] for row in rows):
        mine = [row for row in rows if row["route"] == route]
        axes.scatter(
            [row["limit_mib"] for row in mine], [row["added_mib"] for row in mine], s=14, label=route
        )
    axes.plot(limits, limits, color="black", linewidth=0.8, label="limit")
    axes.set(xlabel="memory limit, MiB", ylabel="memory added, MiB", xscale="log", yscale="log")
    axes.legend(fontsize=7)
