"""Onboards the customers of customers.yaml on this machine."""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from uuid import uuid4

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.rule import Rule

from cli import NotPossible
from cli.aws.queues import messages
from cli.aws.stack import Stack
from cli.demo.customers import Customer, load
from cli.demo.event_recorder import record_events
from cli.demo.outcome import Outcome, World, show
from cli.downstream import systems
from cli.downstream.systems import Systems
from cli.machine import emulator
from cli.machine.deploy import EmulatorStack, deploy
from cli.machine.polling import back_off
from cli.operate import dead_letters
from cli.operate.dead_letters import DEAD_LETTER_QUEUE
from cli.report import table
from cli.report.source import fetch

# Far more than anything here takes, even on a busy machine.
PATIENCE_SECONDS = 600
# The workflow waits this part of the time before it tries a downstream system again.
WAIT_SCALE = "0.2"
# The link in an e-mail that asks to confirm the address.
CODE = re.compile(r"#customerId=(?P<customer>[\w-]+)&code=(?P<code>\w+)")
RETRY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}


def run(console: Console) -> bool:
    """Run the demo on a new stack; returns what `demonstrate` returns."""
    with emulator.start({"SFN_WAIT_SCALE": WAIT_SCALE}) as aws, systems.start(aws) as downstream:
        stack = deploy(aws, console, [system.configuration for system in downstream.all], EmailConfirmation="required")
        return demonstrate(stack, downstream, load(), console)


def demonstrate(stack: EmulatorStack, downstream: Systems, customers: Sequence[Customer], console: Console) -> bool:
    """Onboard the customers and show each; whether all ended as expected and nothing was dead-lettered."""
    recorder = record_events(stack)
    outcomes = onboard(stack, downstream, customers, console)
    world = World(stack, downstream, recorder.events(), stack.emulator.mails())
    for outcome in outcomes:
        show(outcome, world, console)
    console.print(Rule(style="dim"))
    table.show(fetch(stack.session, stack.api_url), console)
    wrong = [outcome.customer.name for outcome in outcomes if not outcome.is_as_expected]
    dead = [f"{name} x {count}" for name, count in dead_letters.counts(stack) if count]
    for what, found in (("NOT as expected", wrong), ("Dead letters", dead)):
        if found:
            console.print(f"{what}: {', '.join(found)}", style="bold red", soft_wrap=True)
    if not wrong and not dead:
        console.print(f"All {len(outcomes)} customers as expected.", style="bold green")
    return not wrong and not dead


def onboard(
    stack: EmulatorStack, downstream: Systems, customers: Sequence[Customer], console: Console
) -> list[Outcome]:
    """Register the customers, each after the one it waits for, and wait until all have ended.

    Each confirms the e-mail address as soon as the code is in the outbox.

    Raises:
        NotPossible: it takes too long.
    """
    registered: dict[str, Outcome] = {}
    done: set[str] = set()
    used: set[str] = set()
    with httpx.Client(trust_env=False, timeout=60) as http, Progress(console=console) as bar:
        task = bar.add_task("onboarding", total=len(customers))
        for ended in _ended_executions(stack):
            done = {name for name, outcome in registered.items() if outcome.customer_id in {None, *ended}}
            bar.update(task, completed=len(done))
            if len(done) == len(customers):
                break
            for customer in sorted(customers, key=lambda it: not it.faults):  # those with faults take longest
                if customer.name not in registered and customer.after in {None, *done}:
                    for partner in downstream.partners:
                        partner.plan(customer.customer["email"], *customer.faults.get(partner.name, ()))
                    registered[customer.name] = register(http, stack.api_url, customer)
            used |= confirm(http, stack, {it.customer_id for it in registered.values()}, used)
        else:
            raise NotPossible(f"Still running: {', '.join(it.name for it in customers if it.name not in done)}")
        await_rest(stack)
        return [with_status(http, stack.api_url, registered[customer.name]) for customer in customers]


def register(http: httpx.Client, api_url: str, customer: Customer) -> Outcome:
    """Register the customer as a good client does: it retries with the same key when the API asks it to."""
    headers = {"Idempotency-Key": customer.idempotency_key or str(uuid4())}
    answers: list[httpx.Response] = []
    for _ in back_off(PATIENCE_SECONDS):
        answers.append(http.post(f"{api_url}/api/customers", json=customer.customer, headers=headers))
        if answers[-1].status_code not in RETRY:
            break
        time.sleep(float(answers[-1].headers.get("Retry-After", 1)))
    return Outcome(customer, answers)


def confirm(
    http: httpx.Client, stack: EmulatorStack, customers: Collection[str | None], used: Collection[str]
) -> set[str]:
    """Post each code that was mailed to one of the customers and isn't used yet; return those that were answered."""
    found = filter(None, (CODE.search(mail["BodyText"]) for mail in stack.emulator.mails()))
    new = [it for it in found if it["customer"] in customers and it["code"] not in used]
    url = f"{stack.api_url}/api/customers"
    answers = {
        it["code"]: http.post(f"{url}/{it['customer']}/email-confirmation", json={"code": it["code"]}) for it in new
    }
    return {code for code, answer in answers.items() if answer.status_code not in RETRY}


def with_status(http: httpx.Client, api_url: str, outcome: Outcome) -> Outcome:
    """The outcome with the onboarding's status from the API, if there is one."""
    if outcome.customer_id is None:
        return outcome
    answer = http.get(f"{api_url}/api/customers/{outcome.customer_id}/onboarding")
    return replace(outcome, status=answer.json() if answer.is_success else {})


def _ended_executions(stack: Stack) -> Iterator[set[str]]:
    """Poll the names of the executions that have ended, until the time is up."""
    pages = stack.session.client("stepfunctions").get_paginator("list_executions")
    for _ in back_off(PATIENCE_SECONDS):
        found = pages.paginate(stateMachineArn=stack.outputs["StateMachineArn"]).search("executions[]")
        yield {execution["name"] for execution in found if execution["status"] != "RUNNING"}


def await_rest(stack: Stack) -> None:
    """Wait until the queues are empty, apart from dead-letter queues.

    Raises:
        NotPossible: it takes too long.
    """
    busy, rests = list[str](), 0
    for _ in back_off(PATIENCE_SECONDS):
        busy = [name for name, count in messages(stack) if count and not name.endswith(DEAD_LETTER_QUEUE)]
        rests = 0 if busy else rests + 1
        if rests > 1:  # twice, since one consumer's event may be on its way to another
            return
    raise NotPossible(f"Messages are stuck in {', '.join(busy)}")
