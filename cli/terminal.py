"""The terminal of every command, and how they lay out what they list."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDTH = 120  # at most, and where no terminal says otherwise


def console() -> Console:
    """A console for standard output. What its encoding lacks is escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def listing(
    *names: str, rows: Iterable[Iterable[str | Text]], right: Collection[str] = (), title: str | None = None
) -> Table:
    """A table without lines: some columns are aligned right, and the last one takes what is too long for it."""
    columns = [Column(name, no_wrap=True, justify="right" if name in right else "left") for name in names]
    columns[-1].no_wrap, columns[-1].overflow = False, "fold"
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), title=title, title_justify="left", title_style="")
    for row in rows:
        table.add_row(*row)
    return table
