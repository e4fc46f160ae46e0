"""What do rows, columns, workers, batch sizes and memory limits cost? A curve for each, on two routes."""

from collections.abc import Iterable

from benchmarks.data import LINEITEM
from benchmarks.harness import MiB, Options, Result, arrowsync_copy, main
from benchmarks.shelf import ROUTES, Route, Shelf, routes, shelf

DEARER = 1.1  # a row among 60 M may cost a tenth more than one among 0.6 M


def run(options: Options) -> Result:
    result = Result()
    with shelf(options) as place:
        for route in routes(options, ROUTES[:2]):
            rows_curve(result, place, route, options)
            columns = list(LINEITEM.columns)
            curve(result, place, route, "columns", ((n, {"columns": columns[:n]}) for n in (1, 4, 8, 16)))
            curve(result, place, route, "workers", ((n, {"workers": n}) for n in (1, 2, 4, 8)))
            sizes = (1_000, 8_000, 64_000, 256_000, None)  # None: the sizer's own choice
            curve(result, place, route, "batch_rows", ((n, {"limits": {"batch_rows": n}}) for n in sizes))
            limits = (64, 128, 256, 512, 2048)
            curve(
                result, place, route, "memory_mib", ((n, {"limits": {"memory": f"{n} MiB"}}) for n in limits)
            )
    return result


def rows_curve(result: Result, place: Shelf, route: Route, options: Options) -> None:
    """A tenth of the scale and all of it, ten times as much with --full; the cost of a row must stay."""
    scales = [options.scale / 10, options.scale, *([options.scale * 10] * options.full)]
    costs = [cost for at in scales for cost in curve(result, place.at(at), route, "scale", [(at, {})])]
    if len(costs) == len(scales):
        ratio = costs[-1] / costs[0]
        what = f"{' → '.join(route)} · cost of a row at {scales[-1] / scales[0]:.0f} × the rows"
        result.check(what, f"{ratio:.2f} ×", f"≤ {DEARER} ×", passed=ratio <= DEARER)


def curve(
    result: Result, place: Shelf, route: Route, name: str, points: Iterable[tuple[object, dict[str, object]]]
) -> list[float]:
    """Copy lineitem once with each of the arguments; microseconds a row."""
    costs = []
    for value, arguments in points:
        row = result.row(route=" → ".join(route), curve=name, value="auto" if value is None else value)
        with result.attempt(row):
            source, target = place.source(route[0], LINEITEM), place.target(route[1], LINEITEM)
            copied = arrowsync_copy(source, target, table=LINEITEM.name, **arguments)
            rows, seconds = copied.report["rows_written"], copied.report["seconds"]
            costs.append(seconds / rows * 1e6)
            row |= {"rows": rows, "seconds": seconds, "us_per_row": costs[-1]}
            row |= {
                "cpu_seconds": copied.measured.cpu_seconds,
                "peak_mib": copied.measured.peak_bytes / MiB,
                "batches": copied.report["batches"],
            }
    return costs


if __name__ == "__main__":
    main("scaling", run)
