"""How the commands lay out what they list."""

from rich.table import Column, Table


def columns(*names: str) -> Table:
    """A table without lines, of which the last column takes what is too long for it."""
    *short, last = names
    return Table(
        *(Column(name, no_wrap=True) for name in short), Column(last, overflow="fold"), box=None, padding=(0, 2, 0, 0)
    )
