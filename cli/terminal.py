"""The terminal of every command."""

from __future__ import annotations

import io
import sys

from rich.console import Console

WIDTH = 120  # at most, and where no terminal says otherwise


def console() -> Console:
    """A console for standard output. What its encoding lacks is escaped, as on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console
