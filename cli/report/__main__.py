"""`python -m cli.report`: the funnel and the times of a stack, on this machine or on AWS."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from cli import NotPossible, terminal
from cli.background import find
from cli.report.picture import draw
from cli.report.source import NoAnalytics, fetch
from cli.report.table import show


def main() -> int:
    """Print the table and write the picture; 1 where there are no analytics."""
    parser = argparse.ArgumentParser(prog="python -m cli.report", description=__doc__)
    parser.add_argument("--stack", help="a stack on AWS; without it, the one that `make up` left running")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, help="the first day, such as 2026-11-17")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, help="the last day")
    parser.add_argument("--picture", type=Path, default=Path("report.svg"), help="where to draw: .svg or .png")
    options = parser.parse_args()
    console = terminal.console()
    try:
        stack = find(options.stack)
        analytics = fetch(stack.session, stack.api_url, options.first, options.last)
    except (NotPossible, NoAnalytics, BotoCoreError, ClientError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    show(analytics, console)
    draw(analytics, options.picture)
    console.print(f"picture: {options.picture}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
