"""`python -m operations COMMAND`: see docs/runbook.md."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from operations import customers, dead_letters
from operations.redrive import failures, redrive
from operations.stack import NotPossible, Stack, find
from operations.trace import table, trace

WIDTH = 120  # where no terminal says otherwise


def main() -> int:
    """Run the command; 1 where it could not be done."""
    options = _parser().parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    try:
        _run(options, find(options.stack), console)
    except (NotPossible, BotoCoreError, ClientError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description="What whoever is on call does.")
    parser.add_argument("--stack", help="a stack on AWS; without it, the one that `make up` left running")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("trace", help="one onboarding as a timeline").add_argument("customer_id")
    redriving = commands.add_parser("redrive", help="take failed executions up where they failed")
    redriving.add_argument("--since", type=_moment, help="those that ended since then, such as 2026-11-17T09:00")
    redriving.add_argument("--dry-run", action="store_true", help="only show them")
    commands.add_parser("register-anew", help="queue a closed registration once more").add_argument("customer_id")
    releasing = commands.add_parser("release", help="undo the pending account of a failed execution")
    releasing.add_argument("customer_id")
    releasing.add_argument("--force", action="store_true", help="also where the execution could be redriven")
    dead = commands.add_parser("dead-letters", help="count what could not be processed, or move it back")
    dead.add_argument("--move", metavar="NAME", help="move the messages of this queue back")
    commands.add_parser("erase", help="erase a customer's data").add_argument("customer_id")
    return parser


def _run(options: argparse.Namespace, stack: Stack, console: Console) -> None:
    match options.command:
        case "trace":
            console.print(table(trace(stack, options.customer_id)))
        case "redrive":
            _redrive(stack, options.since, console, dry_run=options.dry_run)
        case "register-anew":
            console.print(f"registered anew as {customers.register_anew(stack, options.customer_id)}")
        case "release":
            done = customers.release(stack, options.customer_id, force=options.force)
            _say(done or ["nothing is held"], console)
        case "erase":
            _say(customers.erase(stack, options.customer_id), console)
        case "dead-letters" if options.move:
            console.print(f"moving, as {dead_letters.move_back(stack, options.move)}", soft_wrap=True)
        case "dead-letters":
            laid_out = Table("queue", "messages", box=None, padding=(0, 2, 0, 0))
            for name, count in dead_letters.counts(stack):
                laid_out.add_row(name, str(count), style="red" if count else "")
            console.print(laid_out)


def _redrive(stack: Stack, since: datetime | None, console: Console, *, dry_run: bool) -> None:
    taken_up = 0
    for failure in failures(stack, since):
        console.print(
            f"{failure.customer_id}  {failure.stopped:%Y-%m-%d %H:%M:%S}  {failure.status}  {failure.error}  "
            f"{failure.obstacle or ('can be redriven' if dry_run else 'redriven')}",
            soft_wrap=True,
        )
        if not failure.obstacle:
            taken_up += 1
            if not dry_run:
                redrive(stack, failure)
    console.print(f"{taken_up} {'can be redriven' if dry_run else 'redriven'}")


def _say(lines: list[str], console: Console) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
