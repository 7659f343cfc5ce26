"""`python -m cli.operate COMMAND`: see docs/runbook.md."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from cli import NotPossible, terminal
from cli.background import find
from cli.operate import customers, dead_letters, logs
from cli.operate.redrive import Failure, failures, redrive
from cli.operate.trace import table, trace
from cli.stack import Stack

# How long Step Functions takes an execution up again.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
REDRIVABLE = timedelta(days=14)
LOGGED_LATELY = timedelta(minutes=10)
INTERRUPTED = 130  # as a shell says it


def main() -> int:
    """Run the command; 1 where it could not be done, 130 where it was interrupted."""
    options = _parser().parse_args()
    console = terminal.console()
    try:
        _run(options, find(options.stack), console)
    except (NotPossible, BotoCoreError, ClientError) as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cli.operate", description="What whoever is on call does.")
    parser.add_argument("--stack", help="a stack on AWS; without it, the one that `make up` left running")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("trace", help="one onboarding as a timeline").add_argument("customer_id")
    following = commands.add_parser("logs", help="follow what the functions log")
    following.add_argument("customer_id", nargs="?", help="only what is about this customer")
    following.add_argument("--since", type=_moment, help="from then on (UTC); without it, from ten minutes ago")
    redriving = commands.add_parser("redrive", help="take failed executions up where they failed")
    since = "those that ended since then, such as 2026-11-17T09:00 (UTC); without it, of the last 14 days"
    redriving.add_argument("--since", type=_moment, help=since)
    redriving.add_argument("--dry-run", action="store_true", help="only show them")
    commands.add_parser("register-anew", help="queue a closed registration once more").add_argument("customer_id")
    releasing = commands.add_parser("release", help="undo the pending account of a failed execution")
    releasing.add_argument("customer_id")
    releasing.add_argument("--force", action="store_true", help="also where the execution could be redriven")
    dead = commands.add_parser("dead-letters", help="show what could not be processed, or move it back")
    dead.add_argument("queue", nargs="?", help="such as Registration; without it, all are counted")
    dead.add_argument("--move", action="store_true", help="move the messages of the queue back")
    erasing = commands.add_parser("erase", help="erase a customer's data")
    erasing.add_argument("customer_id")
    erasing.add_argument("--force", action="store_true", help="also where the execution could be redriven")
    return parser


def _run(options: argparse.Namespace, stack: Stack, console: Console) -> None:
    match options.command:
        case "trace":
            console.print(table(trace(stack, options.customer_id)))
        case "logs":
            _follow(stack, options.customer_id, options.since, console)
        case "redrive":
            _redrive(stack, options.since, console, dry_run=options.dry_run)
        case "register-anew":
            console.print(f"registered anew as {customers.register_anew(stack, options.customer_id)}")
        case "release":
            done = customers.release(stack, options.customer_id, force=options.force)
            _say(done or ["nothing is held"], console)
        case "erase":
            _say(customers.erase(stack, options.customer_id, force=options.force), console)
        case "dead-letters":
            _dead_letters(stack, options.queue, console, move=options.move)


def _follow(stack: Stack, customer_id: str | None, since: datetime | None, console: Console) -> None:
    with suppress(KeyboardInterrupt):  # by which one stops following
        for line in logs.follow(stack, customer_id, since or datetime.now(UTC) - LOGGED_LATELY):
            console.print(line.text(), soft_wrap=True)


def _redrive(stack: Stack, since: datetime | None, console: Console, *, dry_run: bool) -> None:
    # All are listed before the first is taken up, which takes it off the list.
    found = list(failures(stack, since or datetime.now(UTC) - REDRIVABLE))
    ready = [failure for failure in found if not failure.obstacle]
    done = [failure for failure in found if failure.obstacle]
    if dry_run:
        done += ready
    try:
        for failure in track([] if dry_run else ready, "redriving", console=console, disable=not console.is_terminal):
            done.append(redrive(stack, failure))
    finally:  # where Step Functions refuses, what was done is shown all the same
        _show_redriven(done, console, "can be redriven" if dry_run else "redriven")


def _show_redriven(failures: list[Failure], console: Console, success: str) -> None:
    laid_out = _columns("customer", "ended", "status", "error", "")
    for failure in sorted(failures, key=lambda it: it.stopped):
        ended = f"{failure.stopped:%Y-%m-%d %H:%M:%S}"
        laid_out.add_row(failure.customer_id, ended, failure.status, failure.error, failure.obstacle or success)
    console.print(laid_out)
    console.print(f"{sum(not failure.obstacle for failure in failures)} of {len(failures)} {success}")


def _dead_letters(stack: Stack, queue: str | None, console: Console, *, move: bool) -> None:
    if queue is None and move:
        raise NotPossible("Say which queue's messages to move back, such as: dead-letters Registration --move")
    if queue is None:
        laid_out = _columns("queue", "messages")
        for name, count in dead_letters.counts(stack):
            laid_out.add_row(name, str(count), style="red" if count else "")
        console.print(laid_out)
    elif move:
        console.print(f"moving, as {dead_letters.move_back(stack, queue)}", soft_wrap=True)
    else:
        laid_out = _columns("message", "first sent", "received")
        for letter in dead_letters.look(stack, queue):
            laid_out.add_row(letter.message_id, f"{letter.sent:%Y-%m-%d %H:%M:%S}", str(letter.received))
        console.print(laid_out)


def _columns(*names: str) -> Table:
    *short, last = names
    return Table(
        *(Column(name, no_wrap=True) for name in short), Column(last, overflow="fold"), box=None, padding=(0, 2, 0, 0)
    )


def _say(lines: list[str], console: Console) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, such as 2026-11-17T09:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
