"""Prints tables that fit the terminal: columns are left out for want of room, no word is broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP = 2
_LONGEST_WORD = 24
"""Characters; a longer word in text is cut where there is no room for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table; the one of the highest ``rank`` is left out first, of rank 0 never."""

    title: str
    cells: Sequence[str]
    rank: int
    justify: Literal["left", "right"] = "left"
    is_text: bool = False
    """Whether its cells may go on in a further line, between words."""
    least: int | None = None
    """The width down to which a cell of one line may be cut."""

    @property
    def width(self) -> int:
        """What its longest cell takes."""
        return max(map(cell_len, (self.title, *self.cells)))

    @property
    def least_width(self) -> int:
        """What it takes at least."""
        if self.least is not None:
            return min(self.least, self.width)
        if not self.is_text:
            return self.width
        words = (word for text in (self.title, *self.cells) for word in text.split())
        return min(_LONGEST_WORD, max(map(cell_len, words), default=0))


def print_fitted(console: Console, columns: Sequence[Column]) -> list[str]:
    """Print the table; return the titles of columns with something in them that had no room."""
    shown = list(columns)
    for column in sorted(columns, key=lambda column: -column.rank):
        if _room(console, [each.least_width for each in shown]) >= 0:
            break
        if column.rank:
            shown.remove(column)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for column, width in zip(shown, _widths(console, shown), strict=True):
        table.add_column(
            Text(column.title),
            justify=column.justify,
            width=width,
            no_wrap=not column.is_text,
            overflow="ellipsis",
        )
    # Text and not str: a user's name must not be read as rich's markup.
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*map(Text, cells))
    console.print(table)
    return [column.title for column in columns if column not in shown and any(column.cells)]


def _room(console: Console, widths: Sequence[int]) -> int:
    return console.width - sum(widths) - _GAP * (len(widths) - 1)


def _widths(console: Console, columns: Sequence[Column]) -> list[int]:
    """Return the columns' widths: the widest that can be narrower gives way first."""
    widths = [column.width for column in columns]
    least = [column.least_width for column in columns]
    for _ in range(-_room(console, widths)):
        narrowable = [at for at, width in enumerate(widths) if width > least[at]]
        if not narrowable:
            break
        widths[max(narrowable, key=lambda at: widths[at])] -= 1
    return widths
