"""What people see: documents for terminals and notebooks, plots, progress. Knows core alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from arrowsync.display.document import Document


class Shown(ABC):
    """A value that people look at: as text when printed, as tables in a notebook."""

    __slots__ = ()

    @abstractmethod
    def document(self) -> Document: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.document().title.text}>"

    def __str__(self) -> str:
        from arrowsync.display.terminal import plain_text  # rich: 90 ms, only for who looks

        return plain_text(self.document())

    def _repr_html_(self) -> str:
        from arrowsync.display.html import render

        return render(self.document())
