"""`onboarding`, the command line: one command for each thing to do with a stack, here or on AWS.

It exits with 0 if all went well, 1 if it could not be done, 2 if it was called wrongly, 130 if it was interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from types import FrameType

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import track
from rich.text import Text

from cli import NotPossible, background, terminal
from cli.aws.stack import Stack
from cli.background import find
from cli.demo.run import run as run_demo
from cli.operate import customers, dead_letters, execution, logs, trace
from cli.report import source, table

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # as a shell says it
# How long Step Functions redrives an execution.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
REDRIVABLE = timedelta(days=14)
SECONDS = "%Y-%m-%d %H:%M:%S"
LOGGED_LATELY = timedelta(minutes=10)


class Interrupted(KeyboardInterrupt):
    """Not KeyboardInterrupt: if that passes code that is run from a text, Python ends by SIGINT, caught or not."""


class CommandLine(click.Group):
    """Commands, listed in their order here, which say on standard error why they fail."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (NotPossible, BotoCoreError, ClientError, OSError) as error:
            raise click.ClickException(str(error)) from error
        except Interrupted:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


def time(text: str) -> datetime:
    """Read a day or a time in ISO 8601; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 2026-11-17T09:00 or 2026-11-17") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def of_a_stack(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command an option for the stack that it is about, and that stack as its first argument."""

    @click.option("--stack", "name", metavar="NAME", help="A stack on AWS; by default the one that `up` left running.")
    @wraps(command)
    def with_stack(name: str | None, **options: object) -> None:
        command(find(name), **options)

    return with_stack


of_a_customer = click.argument("customer_id")
by_force = click.option("--force", is_flag=True, help="Do it even if the execution can be redriven.")


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Run the stack on this machine, or operate one here or on AWS (see docs/runbook.md)."""


@commands.command()
def up() -> None:
    """Deploy to this machine and leave the stack running; or deploy what has changed to the one that runs."""
    background.up(terminal.console())


@commands.command()
def down() -> None:
    """End the stack that `up` left running."""
    background.down(terminal.console())


@commands.command()
def demo() -> None:
    """Deploy to this machine, onboard customers, show them, end."""
    if not run_demo(terminal.console()):
        sys.exit(1)


@commands.command("trace")
@of_a_stack
@of_a_customer
def show_trace(stack: Stack, customer_id: str) -> None:
    """Show what happened to a customer, state by state."""
    terminal.console().print(trace.table(trace.trace(stack, customer_id)))


@commands.command("logs")
@of_a_stack
@click.argument("customer_id", required=False)
@click.option("--since", type=time, help="From then on (UTC); by default from ten minutes ago.")
def follow_logs(stack: Stack, customer_id: str | None, since: datetime | None) -> None:
    """Follow what the functions log, about one customer or all."""
    console = terminal.console()
    for line in logs.follow(stack, customer_id, since or datetime.now(UTC) - LOGGED_LATELY):
        console.print(line.text(), soft_wrap=True)


@commands.command()
@of_a_stack
@click.option("--from", "first", type=time, help="The first day, such as 2026-11-17.")
@click.option("--to", "last", type=time, help="The last day.")
@click.option("--picture", type=Path, default="report.svg", show_default=True, help="Where to draw it: .svg or .png.")
def report(stack: Stack, first: datetime | None, last: datetime | None, picture: Path) -> None:
    """Show the funnel and the times to onboard, and draw them."""
    from cli.report.picture import draw  # noqa: PLC0415 - matplotlib takes a second to import

    console = terminal.console()
    analytics = source.fetch(stack.session, stack.api_url, first and first.date(), last and last.date())
    table.show(analytics, console)
    draw(analytics, picture)
    console.print(f"picture: {picture}", soft_wrap=True)


@commands.command("redrive")
@of_a_stack
@click.option("--since", type=time, help="What ended since then (UTC); by default in the last 14 days.")
@click.option("--dry-run", is_flag=True, help="Only show what would be redriven.")
def redrive_failed(stack: Stack, since: datetime | None, *, dry_run: bool) -> None:
    """Redrive failed executions from where they failed."""
    console = terminal.console()
    # All are listed before the first is redriven, which takes it off the list.
    found = sorted(execution.failures(stack, since or datetime.now(UTC) - REDRIVABLE), key=lambda it: it["stopDate"])
    remarks = {it["name"]: execution.obstacle(it) or "can be redriven" for it in found}
    ready = [it for it in found if not execution.obstacle(it) and not dry_run]
    try:
        for failed in track(ready, "redriving", console=console, disable=not console.is_terminal):
            remarks[failed["name"]] = execution.redrive(stack, failed) or "redriven"
    finally:  # where Step Functions refuses, what was done is shown all the same
        rows = [
            (it["name"], f"{it['stopDate']:{SECONDS}}", it["status"], it.get("error", ""), remarks[it["name"]])
            for it in found
        ]
        console.print(terminal.listing("customer", "ended", "status", "error", "", rows=rows))
        success = "can be redriven" if dry_run else "redriven"
        console.print(f"{[*remarks.values()].count(success)} of {len(found)} {success}")


@commands.command()
@of_a_stack
@of_a_customer
def reregister(stack: Stack, customer_id: str) -> None:
    """Register a customer again, with a new id."""
    click.echo(f"registered as {customers.reregister(stack, customer_id)}")


@commands.command()
@of_a_stack
@of_a_customer
@by_force
def release(stack: Stack, customer_id: str, *, force: bool) -> None:
    """Undo the pending account of a failed execution."""
    click.echo("\n".join(customers.release(stack, customer_id, force=force)) or "nothing is held")


@commands.command()
@of_a_stack
@of_a_customer
@by_force
def erase(stack: Stack, customer_id: str, *, force: bool) -> None:
    """Erase a customer's data."""
    click.echo("\n".join(customers.erase(stack, customer_id, force=force)))


@commands.command("dead-letters")
@of_a_stack
@click.argument("queue", required=False)
@click.option("--move", is_flag=True, help="Move the messages back to their queue.")
def show_dead_letters(stack: Stack, queue: str | None, *, move: bool) -> None:
    """Count dead letters, show those of one queue, or move them.

    QUEUE is, for example, Registration.
    """
    console = terminal.console()
    if queue is None:
        if move:
            raise click.UsageError("Say which queue's messages to move back, such as: dead-letters Registration --move")
        counts = ((name, Text(str(count), "red" if count else "")) for name, count in dead_letters.counts(stack))
        console.print(terminal.listing("queue", "messages", rows=counts))
    elif move:
        console.print(f"moving, as {dead_letters.move_back(stack, queue)}", soft_wrap=True)
    else:
        letters = dead_letters.look(stack, queue)
        rows = [(it.message_id, f"{it.sent:{SECONDS}}", str(it.received)) for it in letters]
        console.print(terminal.listing("message", "first sent", "received", rows=rows))


def main() -> None:
    """Run the command that the process was started with."""
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    commands(prog_name="onboarding")


def _interrupt(*_: int | FrameType | None) -> None:
    """Unwind; at the second time, leave at once. What was started ends when this process does."""
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))
    raise Interrupted


if __name__ == "__main__":
    main()
