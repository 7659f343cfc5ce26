"""The console of every command."""

from __future__ import annotations

import io
import sys

from rich.console import Console

WIDTH = 120  # where no terminal says otherwise


def console(width: int = WIDTH) -> Console:
    """A console for standard output. What its encoding lacks is escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width
    return console
