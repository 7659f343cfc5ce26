"""How the commands lay out what they list."""

from collections.abc import Collection

from rich.table import Column, Table


def columns(*names: str, right: Collection[str] = ()) -> Table:
    """A table without lines, of which the last column takes what is too long for it, and some are aligned right."""
    *short, last = names
    aligned = (Column(name, no_wrap=True, justify="right" if name in right else "left") for name in short)
    return Table(*aligned, Column(last, overflow="fold"), box=None, padding=(0, 2, 0, 0))
