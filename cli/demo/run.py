"""The demo: the customers of customers.yaml, onboarded by the stack on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from uuid import uuid4

import httpx
from rich.console import Console
from rich.progress import track
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

# Far more than any of it takes, for a machine that does other things too.
PATIENCE_SECONDS = 600
COME_AGAIN = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}


def run(console: Console) -> bool:
    """Run the demo and show it on `console`; whether each customer ended as expected and nothing is stuck."""
    with emulator.start() as aws, systems.start(aws) as downstream:
        stack = deploy(aws, console, [system.configuration for system in downstream.all])
        return demonstrate(stack, downstream, load(), console)


def demonstrate(stack: EmulatorStack, downstream: Systems, customers: Sequence[Customer], console: Console) -> bool:
    """Onboard the customers by a stack and show each; whether each ended as expected and nothing is stuck."""
    recorder = record_events(stack)
    outcomes = onboard(stack.api_url, downstream, customers, console)
    await_rest(stack)
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


def onboard(api_url: str, downstream: Systems, customers: Sequence[Customer], console: Console) -> list[Outcome]:
    """Register the customers side by side, each after the one that it waits for, and follow each to its end."""
    ended: dict[str, Future[Outcome]] = {}

    def follow(customer: Customer) -> Outcome:
        if customer.after:
            ended[customer.after].result()
        for partner in downstream.partners:
            partner.plan(customer.customer["email"], *customer.faults.get(partner.name, ()))
        return register(http, api_url, customer)

    # On an interruption the client is closed first, which ends the threads at their next request.
    with ThreadPoolExecutor(len(customers)) as pool, httpx.Client(trust_env=False, timeout=60) as http:
        for customer in customers:
            ended[customer.name] = pool.submit(follow, customer)
        for _ in track(as_completed(ended.values()), "onboarding", total=len(ended), console=console):
            pass
    return [outcome.result() for outcome in ended.values()]


def register(http: httpx.Client, api_url: str, customer: Customer) -> Outcome:
    """Register a customer as a good client does, and ask for the status until there is nothing more to wait for."""
    url, headers = f"{api_url}/api/customers", {"Idempotency-Key": customer.idempotency_key or str(uuid4())}
    accepted = Outcome(customer, persist(lambda: http.post(url, json=customer.customer, headers=headers)), {})
    if accepted.customer_id is None:
        return accepted
    *_, answer = persist(lambda: http.get(f"{url}/{accepted.customer_id}/onboarding"))
    return replace(accepted, status=answer.json() if answer.is_success else {})


def persist(request: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Send a request again while its answer asks for that, as slowly as it asks; return all answers."""
    answers: list[httpx.Response] = []
    for _ in back_off(PATIENCE_SECONDS):
        answer = request()
        answers.append(answer)
        if "Retry-After" not in answer.headers and answer.status_code not in COME_AGAIN:
            break
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    return answers


def await_rest(stack: Stack) -> None:
    """Wait until nothing moves any more: no execution runs, and no message is in a queue other than for dead letters.

    Raises:
        NotPossible: something is stuck.
    """
    sfn, busy, rests = stack.session.client("stepfunctions"), list[str](), 0
    for _ in back_off(PATIENCE_SECONDS):
        running = sfn.list_executions(stateMachineArn=stack.outputs["StateMachineArn"], statusFilter="RUNNING")
        busy = [execution["name"] for execution in running["executions"]]
        busy += [name for name, count in messages(stack) if count and not name.endswith(DEAD_LETTER_QUEUE)]
        rests = 0 if busy else rests + 1
        if rests > 1:  # seen twice, since what one consumer publishes may be on its way to another
            return
    raise NotPossible(f"Still busy after {PATIENCE_SECONDS} s: {', '.join(busy)}")
