"""Draws a copy's course with matplotlib, which the extra [plot] brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from arrowsync.core.units import MiB
from arrowsync.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Moment(Protocol):
    """A point of a timeline: seconds since the table began, rows so far, the batch's rows, bytes in use."""

    @property
    def seconds(self) -> float: ...
    @property
    def rows(self) -> int: ...
    @property
    def batch_rows(self) -> int: ...
    @property
    def memory(self) -> int: ...


SERIES: tuple[tuple[Callable[[Moment], float], str], ...] = (
    (lambda moment: moment.rows, "rows"),
    (lambda moment: moment.batch_rows, "rows a batch"),
    (lambda moment: moment.memory / MiB, "memory, MiB"),
)


def over_time(timelines: Mapping[str, Sequence[Moment]]) -> Figure:
    """Rows, rows a batch and memory over time, a line per table."""
    try:
        from matplotlib import pyplot
        from matplotlib.ticker import EngFormatter
    except ImportError:
        raise ConfigError("plots need matplotlib", hint="pip install 'arrowsync[plot]'") from None
    from arrowsync.display.figure import NotebookFigure

    figure, axes = pyplot.subplots(
        3, sharex=True, figsize=(8, 7), layout="constrained", FigureClass=NotebookFigure
    )
    for name, timeline in timelines.items():
        seconds = [moment.seconds for moment in timeline]
        marker = "." if len(seconds) < 50 else None  # else a line shows what there is to see
        for axis, (values_of, _) in zip(axes, SERIES, strict=True):
            axis.plot(seconds, [values_of(moment) for moment in timeline], marker=marker, label=name)
    for axis, (_, label) in zip(axes, SERIES, strict=True):
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
        axis.yaxis.set_major_formatter(EngFormatter())  # 12 k, 3 M
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("seconds")
    if 1 < len(timelines) <= 12:  # more names would cover the lines
        axes[0].legend()
    if "inline" not in pyplot.get_backend():
        pyplot.close(figure)  # or pyplot would keep it, and count it among those that nobody has closed
    return figure
