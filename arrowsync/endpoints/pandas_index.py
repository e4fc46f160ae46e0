"""What becomes of a pandas frame's index: columns, or nothing. pandas, which takes 0.5 s, is not imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from arrowsync.errors import ConfigError

Levels = Sequence[str | None]  # for each level of an index the name of its column; None: it becomes none


def is_pandas(rows: object) -> bool:
    """Whether it is a pandas frame, in which case pandas is loaded."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(rows, pandas.DataFrame)


def levels(frame: Any, index: bool | None) -> Levels:  # Any: pandas may not be there
    """The columns that `index` makes of the index. Raises ConfigError for one that has a column's name."""
    names: Levels = [None if name is None else str(name) for name in frame.index.names]
    if index is False:
        return [None] * len(names)
    taken = [str(name) for name in frame.columns]
    if index is True:
        names = _as_reset_index(names, taken)
    for place, name in enumerate(names):
        if name is not None and name in (*taken, *names[:place]):
            raise ConfigError(
                f"the index level {name!r} of the frame has the name of another column",
                hint="Rename one, as with frame.rename_axis(…), or leave the index out with index=False",
            )
    return names


def _as_reset_index(names: Levels, taken: Sequence[str]) -> Levels:
    """Each level with a name: those without get the one that pandas' reset_index gives them."""
    if len(names) == 1 and "index" not in taken:
        return [names[0] or "index"]
    return [f"level_{place}" if name is None else name for place, name in enumerate(names)]


def table(frame: Any, levels: Levels) -> pa.Table:  # Any: as above
    """The frame's rows, the wanted levels of its index first."""
    own = pa.Table.from_pandas(frame, preserve_index=False)
    index = [(name, _level(frame, place)) for place, name in enumerate(levels) if name is not None]
    # Without pandas' metadata, which would name an index that is a column, or gone.
    return pa.Table.from_arrays(
        [*(column for _, column in index), *own.columns],
        names=[*(name for name, _ in index), *own.schema.names],
    )


def _level(frame: Any, place: int) -> pa.ChunkedArray:  # Any: as above
    values = frame.index.get_level_values(place).to_frame(index=False, name="level")
    return pa.Table.from_pandas(values, preserve_index=False).column(0)


def remarks(frame: Any, levels: Levels) -> Iterator[str]:  # Any: as above
    """What the plan says of the index; nothing of one that only counts the rows."""
    if type(frame.index).__name__ == "RangeIndex" and frame.index.name is None and levels[0] is None:
        return
    if taken := [repr(name) for name in levels if name is not None]:
        yield f"the index becomes {', '.join(taken)}"
    left = [
        f"level {place} (which has no name)" if own is None else f"level {str(own)!r}"
        for place, (own, name) in enumerate(zip(frame.index.names, levels, strict=True))
        if name is None
    ]
    if left:
        yield f"{', '.join(left)} of the index is left out; index=True makes a column of it"
