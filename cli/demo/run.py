"""The demo: the customers of customers.yaml, onboarded by the deployed stack."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli import NotPossible
from cli.aws.executions import execution_arn, history
from cli.demo.customers import Customer, load
from cli.demo.event_recorder import record_events
from cli.demo.outcome import Answer, Execution, Holding, Outcome
from cli.demo.verdict import expected_funnel, report, report_funnel
from cli.downstream import systems
from cli.downstream.systems import Systems
from cli.machine import emulator
from cli.machine.deploy import EmulatorStack, deploy
from cli.machine.polling import back_off
from cli.report.source import fetch
from onboarding.domain.analytics import Analytics

# The emulator's engine, one process, does 12 to 15 a second.
REGISTRATIONS_PER_SECOND = 8
# Far more than any of it takes, for a machine that does other things too.
PATIENCE_SECONDS = 600
COME_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
MOST_REFUSALS = 100
STATUS_REQUESTS = 4  # at a time


class DemoStuck(NotPossible):
    """An onboarding that others wait for has not ended, although there was time; the message names who waits."""


def run(console: Console) -> bool:
    """Run the demo and show it on `console`; whether all went as expected."""
    customers = load()
    with emulator.start() as aws, systems.start(aws) as downstream:
        stack = deploy(aws, console, [system.configuration for system in downstream.all])
        outcomes, unmatched = onboard(stack, downstream, customers, console)
        analytics = await_analytics(stack, customers)
    went_well = report(outcomes, unmatched, console)
    return report_funnel(analytics, customers, console) and went_well


def onboard(
    stack: EmulatorStack, downstream: Systems, customers: Sequence[Customer], console: Console
) -> tuple[list[Outcome], list[str]]:
    """Register the customers, wait until their executions have ended, and gather the outcomes.

    Also returns a line for each event, each mail and each account that belongs to none of the customers.
    """
    recorder = record_events(stack)
    answers: dict[str, Answer] = {}
    with _progress(console) as bar, httpx.Client(trust_env=False, timeout=60) as http:
        task = bar.add_task("onboarding", total=len(customers))
        for ended in _ended_executions(stack):
            done = {name for name, answer in answers.items() if answer.customer_id in {None, *ended}}
            bar.update(task, completed=len(done))
            if len(done) == len(customers):
                break
            for customer in sorted(customers, key=lambda it: not it.faults):  # whose systems fail, takes longest
                if customer.name not in answers and customer.after in {None, *done}:
                    for partner in downstream.partners:
                        partner.plan(customer.customer["email"], *customer.faults.get(partner.name, ()))
                    answers[customer.name] = register(http, stack.api_url, customer)
                    time.sleep(1 / REGISTRATIONS_PER_SECOND)
    missing = [customer.name for customer in customers if customer.name not in answers]
    if missing:
        raise DemoStuck(f"{', '.join(missing)} could not register: an earlier onboarding has not ended")
    with ThreadPoolExecutor(STATUS_REQUESTS) as pool, httpx.Client(trust_env=False, timeout=60) as http:
        followed = pool.map(lambda answer: _follow(http, stack, answer), answers.values())
        statuses = dict(zip(answers, followed, strict=True))
    await_analytics(stack, customers)  # which hear of the suspicions too: then all events are out
    events = sorted(recorder.events(), key=lambda event: event["detail"]["metadata"]["occurredAt"])
    outcomes, unmatched = _gather(stack, downstream, customers, answers, events)
    return [replace(outcome, status_response=statuses[outcome.customer.name]) for outcome in outcomes], unmatched


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def register(http: httpx.Client, api_url: str, customer: Customer) -> Answer:
    """Register the customer as a good client does: asked to come again later, it does, with the same key."""
    headers = {"Idempotency-Key": customer.idempotency_key or str(uuid4())}

    def post() -> httpx.Response:
        return http.post(f"{api_url}/api/customers", json=customer.customer, headers=headers)

    response, refusals = post(), list[int]()
    while response.status_code in COME_AGAIN and len(refusals) < MOST_REFUSALS:
        refusals.append(response.status_code)
        time.sleep(float(response.headers.get("Retry-After", 1)))
        response = post()
    try:
        document = response.json()
    except ValueError:
        document = {"detail": response.text}
    return Answer(response.status_code, document, tuple(refusals))


def _follow(http: httpx.Client, stack: EmulatorStack, answer: Answer) -> Mapping[str, Any]:
    """The final answer to how far an onboarding is; the API is polled as slowly as it asks."""
    if answer.customer_id is None:
        return {}
    url = f"{stack.api_url}/api/customers/{answer.customer_id}/onboarding"
    status: Mapping[str, Any] = {}
    headers: dict[str, str] = {}
    for _ in back_off(PATIENCE_SECONDS):
        response = http.get(url, headers=headers)
        if response.status_code == httpx.codes.OK:
            status, headers = response.json(), {"If-None-Match": response.headers["ETag"]}
        if "Retry-After" not in response.headers and response.status_code not in COME_AGAIN:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    return status


def await_analytics(stack: EmulatorStack, customers: Sequence[Customer]) -> Analytics:
    """The analytics, once they have all that is expected, or when the time is up."""
    expected = expected_funnel(customers)
    analytics = fetch(stack.session, stack.api_url)
    for _ in back_off(PATIENCE_SECONDS):
        if all(getattr(analytics.total, stage) == count for stage, count in expected.items()):
            break
        analytics = fetch(stack.session, stack.api_url)
    return analytics


def _ended_executions(stack: EmulatorStack) -> Iterator[set[str]]:
    """The names of the executions that have ended, again and again until the time is up."""
    pages = stack.session.client("stepfunctions").get_paginator("list_executions")
    for _ in back_off(PATIENCE_SECONDS):
        yield {
            execution["name"]
            for page in pages.paginate(stateMachineArn=stack.outputs["StateMachineArn"])
            for execution in page["executions"]
            if execution["status"] != "RUNNING"
        }


def _gather(
    stack: EmulatorStack,
    downstream: Systems,
    customers: Sequence[Customer],
    answers: Mapping[str, Answer],
    events: Sequence[dict[str, Any]],
) -> tuple[list[Outcome], list[str]]:
    mails = stack.emulator.mails()
    accounts = {system.name: system.accounts() for system in downstream.all}
    tombstones = {system.name: system.tombstones() for system in downstream.all}
    requests = {partner.name: partner.answers for partner in downstream.partners}
    outcomes = []
    for customer in customers:
        answer = answers[customer.name]
        theirs = [e for e in events if e["detail"]["customerId"] == answer.customer_id]
        sent = {event["detail"].get("messageId") for event in theirs}
        holdings = {
            name: Holding(
                answer.customer_id in accounts[name],
                answer.customer_id in tombstones[name],
                tuple(requests[name](answer.customer_id or "")) if name in requests else (),
            )
            for name in accounts
        }
        outcomes.append(
            Outcome(
                customer,
                answer,
                _execution(stack, answer.customer_id) if answer.customer_id else None,
                tuple(theirs),
                tuple(mail for mail in mails if mail["MessageId"] in sent),
                holdings,
            )
        )
    known = {id(thing) for outcome in outcomes for thing in (*outcome.events, *outcome.mails)}
    unmatched = [f"an event of nobody: {e['detail-type']}" for e in events if id(e) not in known]
    unmatched += [f"a mail of nobody, to {mail['To']}" for mail in mails if id(mail) not in known]
    customer_ids = {outcome.answer.customer_id for outcome in outcomes if outcome.accounts}
    for name, held in accounts.items():
        unmatched += [f"an account of nobody in {name}: {customer_id}" for customer_id in held.keys() - customer_ids]
    return outcomes, unmatched


def _execution(stack: EmulatorStack, name: str) -> Execution | None:
    """The execution of that name, None where it was never started."""
    sfn = stack.session.client("stepfunctions")
    arn = execution_arn(stack.outputs["StateMachineArn"], name)
    try:
        execution = sfn.describe_execution(executionArn=arn)
    except sfn.exceptions.ExecutionDoesNotExist:
        return None
    entered = (event.get("stateEnteredEventDetails") for event in history(sfn, arn))
    return Execution(
        execution["status"],
        tuple(details["name"] for details in entered if details),
        output=json.loads(execution["output"]) if execution["status"] == "SUCCEEDED" else {},
        error=execution.get("error", ""),
        cause=execution.get("cause", ""),
    )
