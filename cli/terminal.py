"""The terminal of every command."""

from __future__ import annotations

import io
import sys

from rich.console import Console
from rich.table import Column, Table

WIDTH = 120  # at most, and where no terminal says otherwise


def console() -> Console:
    """A console for standard output. What its encoding lacks is escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def columns(*names: str) -> Table:
    """A table without lines, of which the last column takes what is too long for it."""
    *short, last = names
    return Table(
        *(Column(name, no_wrap=True) for name in short), Column(last, overflow="fold"), box=None, padding=(0, 2, 0, 0)
    )
