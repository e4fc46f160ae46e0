"""A figure that a notebook shows once: as its cell's value, or, after `plot();`, as its cell ends."""

from __future__ import annotations

from matplotlib import pyplot
from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """Stays open until its cell ends, when the inline backend shows and closes what is open."""

    _shown = False

    def _ipython_display_(self) -> None:
        """Draw it, unless its cell has shown it as its value and now ends."""
        is_open = pyplot.fignum_exists(self.number) and pyplot.figure(self.number) is self
        if not (is_open and self._shown):
            from IPython.core.pylabtools import print_figure
            from IPython.display import Image, display

            display(Image(data=print_figure(self)))
        self._shown = is_open
