"""The command line `onboarding`, for a stack on this machine or on AWS.

Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from types import FrameType

import click
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from rich.progress import track
from rich.text import Text

from cli import NotPossible, background, terminal
from cli.aws.stack import Stack
from cli.background import find
from cli.operate import check, customers, dead_letters, execution, logs, page, preflight, trace
from cli.report import source, table
from onboarding.adapters.bus import EventNotPublished

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # as a shell reports SIGINT
# How long Step Functions lets a failed execution be redriven.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
REDRIVABLE = timedelta(days=14)
SECONDS = "%Y-%m-%d %H:%M:%S"


class Interrupted(KeyboardInterrupt):
    """A class of ours: once KeyboardInterrupt itself has passed through exec'd code, Python dies of SIGINT."""


class CommandLine(click.Group):
    """Lists its commands in the order of this file, and prints failures to standard error."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (NoCredentialsError, NoRegionError) as error:
            raise click.ClickException(f"Sign in to AWS first, and choose a region ({error})") from error
        except (NotPossible, EventNotPublished, BotoCoreError, ClientError, OSError) as error:
            raise click.ClickException(str(error)) from error
        except Interrupted:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


def time(text: str) -> datetime:
    """Parse an ISO 8601 date or time, UTC unless it has an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 2026-11-17T09:00 or 2026-11-17") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def path(text: str) -> Path:
    """Parse the path of a chart, whose ending says its format."""
    if Path(text).suffix not in {".svg", ".png"}:
        raise click.BadParameter(f"{text!r} ends neither in .svg nor in .png")
    return Path(text)


def stack_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command the option --stack, and the stack as its first argument."""

    @click.option("--stack", "name", metavar="NAME", help="A stack on AWS. Default: the local one started by `up`.")
    @wraps(command)
    def with_stack(name: str | None, **options: object) -> None:
        command(find(name), **options)

    return with_stack


environment_option = click.option(
    "--env", metavar="NAME", default="default", help="An environment in samconfig.toml.", show_default=True
)
customer_argument = click.argument("customer_id")
force_option = click.option("--force", is_flag=True, help="Even if the execution can still be redriven.")
since_option = click.option(
    "--since",
    type=time,
    default=lambda: f"{datetime.now(UTC) - REDRIVABLE}",
    help="Executions that ended since then (UTC). Default: the last 14 days.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Run the stack on this machine, or operate one here or on AWS (see docs/runbook.md)."""


@commands.command()
def up() -> None:
    """Start the stack on this machine, or update it."""
    background.up(terminal.console())


@commands.command()
def down() -> None:
    """Stop the stack that `up` started."""
    background.down(terminal.console())


@commands.command("console")
def show_console() -> None:
    """Show the stack in the browser (use `make console`)."""
    background.show(terminal.console())


@commands.command()
def demo() -> None:
    """Onboard sample customers on a temporary stack."""
    from cli.demo.run import run  # noqa: PLC0415 - the other commands start faster without it

    if not run(terminal.console()):
        sys.exit(1)


@commands.command("preflight")
@environment_option
@click.argument("sender")
def check_account(env: str, sender: str) -> None:
    """Check that the account can run the stack and send mail.

    SENDER is the address that the e-mails come from.
    """
    from cli.operate.deployment import session  # noqa: PLC0415 - SAM CLI is slow to import

    checks = list(preflight.preflight(session(env), sender))
    click.echo("\n".join(f"✓ {found}" if good else f"✗ {found}: {to_do}" for good, found, to_do in checks))
    sys.exit(not all(good for good, *_ in checks))


@commands.command("deploy")
@environment_option
@click.option("--yes", is_flag=True, help="Don't ask to confirm the change set.")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
def deploy_to_aws(env: str, parameters: tuple[str, ...], *, yes: bool) -> None:
    """Deploy what `make build` built to AWS.

    The stack keeps each parameter that neither samconfig.toml nor this command sets.
    """
    from cli.operate.deployment import deploy  # noqa: PLC0415 - SAM CLI is slow to import

    deploy(env, dict(it.partition("=")[::2] for it in parameters), *["--no-confirm-changeset"] * yes)


@commands.command("check")
@stack_option
def check_stack(stack: Stack) -> None:
    """Register, follow and erase four customers.

    Takes at most three minutes.
    """
    if not check.check(stack, terminal.console()):
        sys.exit(1)


@commands.command("trace")
@stack_option
@customer_argument
@click.option("--html", is_flag=True, help="Write a page, CUSTOMER_ID.html.")
def show_trace(stack: Stack, customer_id: str, *, html: bool) -> None:
    """Show a customer's onboarding state by state."""
    console, traced = terminal.console(), trace.trace(stack, customer_id)
    if html:
        path = Path(f"{customer_id}.html")
        path.write_text(page.page(traced), encoding="utf-8")
        console.print(f"page: {path}", soft_wrap=True)
    else:
        console.print(trace.table(traced))


@commands.command("logs")
@stack_option
@click.argument("customer_id", required=False)
@click.option("--since", type=time, help="Start at this time (UTC). Default: 10 minutes ago, or the last `up`.")
def follow_logs(stack: Stack, customer_id: str | None, since: datetime | None) -> None:
    """Follow the functions' logs, for one customer or all."""
    console = terminal.console()
    for line in logs.follow(stack, customer_id, since or stack.recent):
        console.print(line.text(), soft_wrap=True)


@commands.command()
@stack_option
@click.option("--from", "first", type=time, help="First day (UTC). Default: six days before the last.")
@click.option("--to", "last", type=time, help="Last day (UTC), such as 2026-11-17. Default: today.")
@click.option("--picture", type=path, default="report.svg", show_default=True, help="Chart file, .svg or .png.")
def report(stack: Stack, first: datetime | None, last: datetime | None, picture: Path) -> None:
    """Show and draw the funnel and the times to onboard."""
    from cli.report.picture import draw  # noqa: PLC0415 - matplotlib is slow to import

    console = terminal.console()
    analytics = source.fetch(stack.session, stack.api_url, first and first.date(), last and last.date())
    table.show(analytics, console)
    draw(analytics, picture)
    console.print(f"picture: {picture}", soft_wrap=True)


def in_bulk(
    found: Iterable[execution.Execution], act: Callable[[execution.Execution], str], done: str, heading: str = ""
) -> None:
    """Act on each execution, and list under the heading what `act` returned, or why it was not possible."""
    console = terminal.console()
    ended = sorted(found, key=lambda it: it["stopDate"])  # all first: a redriven execution drops off the list
    remarks, count = {it["name"]: "not reached" for it in ended}, 0
    try:
        for it in track(ended, "working", console=console, disable=not console.is_terminal):
            try:
                remarks[it["name"]] = act(it)
                count += 1
            except NotPossible as error:
                remarks[it["name"]] = str(error)
    finally:  # if AWS refuses one, show what was done so far
        rows = [
            (it["name"], f"{it['stopDate']:{SECONDS}}", it.get("error") or it["status"], remarks[it["name"]])
            for it in ended
        ]
        if rows:
            console.print(terminal.listing("customer", "ended", "error", heading, rows=rows))
        console.print(f"{count} of {len(ended)} {done}" if rows else "There are no such executions.")


@commands.command()
@stack_option
@since_option
@click.option("--aborted", is_flag=True, help="Also those that were aborted by hand.")
@dry_run_option
def redrive(stack: Stack, since: datetime, *, aborted: bool, dry_run: bool) -> None:
    """Redrive failed executions from the state that failed."""

    def act(failed: execution.Execution) -> str:
        execution.redrive(stack, failed, aborted=aborted, dry_run=dry_run)
        return done

    done = "can be redriven" if dry_run else "redriven"
    in_bulk(execution.failures(stack, since), act, done)


@commands.command()
@stack_option
@click.argument("customer_id", required=False)
@click.option("--all", "is_for_all", is_flag=True, help="All that downstream systems refused.")
@since_option
@dry_run_option
def reregister(stack: Stack, customer_id: str | None, since: datetime, *, is_for_all: bool, dry_run: bool) -> None:
    """Register a customer, or all refused ones, again."""
    if is_for_all == bool(customer_id):
        raise click.UsageError("Give a CUSTOMER_ID or --all")
    done = "can be registered" if dry_run else "registered"
    if customer_id:
        click.echo(f"{done} as {customers.reregister(stack, customer_id, dry_run=dry_run)}")
    else:
        refused = (it for it in execution.failures(stack, since) if it.get("error") == execution.DOWNSTREAM_FAILED)
        in_bulk(refused, lambda it: customers.reregister(stack, it["name"], dry_run=dry_run), done, f"{done} as")


@commands.command()
@stack_option
@customer_argument
@force_option
def release(stack: Stack, customer_id: str, *, force: bool) -> None:
    """Undo a failed execution's pending account."""
    click.echo("\n".join(customers.release(stack, customer_id, force=force)) or "nothing to release")


@commands.command()
@stack_option
@customer_argument
def complete(stack: Stack, customer_id: str) -> None:
    """Finish the onboarding of an active account."""
    click.echo("\n".join(customers.complete(stack, customer_id)))


@commands.command()
@stack_option
@customer_argument
@force_option
def erase(stack: Stack, customer_id: str, *, force: bool) -> None:
    """Erase a customer, here and in the downstream systems."""
    with terminal.console().status("erasing (it runs on if you stop waiting)"):
        systems = customers.erase(stack, customer_id, force=force)
    click.echo("\n".join(["erased the customer", *(f"deleted the account in {system}" for system in systems)]))


@commands.command("dead-letters")
@stack_option
@click.argument("queue", required=False)
@click.option("--move", is_flag=True, help="Move QUEUE's messages back to be processed.")
def show_dead_letters(stack: Stack, queue: str | None, *, move: bool) -> None:
    """Count, list or move back dead letters.

    Without a QUEUE, such as Registration, count those of all queues.
    """
    console = terminal.console()
    if queue is None:
        if move:
            raise click.UsageError("Name the queue, for example: dead-letters Registration --move")
        counts = ((name, Text(str(count), "red" if count else "")) for name, count in dead_letters.counts(stack))
        console.print(terminal.listing("queue", "messages", rows=counts))
    elif move:
        console.print(f"moving, task {dead_letters.move_back(stack, queue)}", soft_wrap=True)
    else:
        letters = dead_letters.peek(stack, queue)
        rows = [(it.message_id, f"{it.sent:{SECONDS}}", str(it.received)) for it in letters]
        console.print(terminal.listing("message", "first sent", "received", rows=rows) if rows else "No messages.")


def main() -> None:
    """Run the command given to this process."""
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    commands(prog_name="onboarding")


def _interrupt(*_: int | FrameType | None) -> None:
    """Clean up and exit; on a second signal, exit at once. Child processes end with this one."""
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))
    raise Interrupted


if __name__ == "__main__":
    main()
