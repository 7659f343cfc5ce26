"""The console and the table layout that all commands share."""

import io
import sys
from collections.abc import Collection, Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDTH = 120  # at most, and the width without a terminal


def console() -> Console:
    """A console for standard output; characters outside its encoding are escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def listing(
    *names: str, rows: Iterable[Iterable[str | Text]], right: Collection[str] = (), title: str | None = None
) -> Table:
    """A table without lines. The columns in `right` align right; the last column wraps."""
    columns = [Column(name, no_wrap=True, justify="right" if name in right else "left") for name in names]
    columns[-1].no_wrap, columns[-1].overflow = False, "fold"
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), title=title, title_justify="left", title_style="")
    for row in rows:
        table.add_row(*row)
    return table
